import { DecodedRecord } from './decoded-record.ts';
import type { Deserializer } from './deserializer.ts';
import type { KafkaRecord, ReceivedRecord } from './record.ts';

/** Records as the user sees them, with key and value decoded on first use. */
export class RecordViews {
  readonly #key: Deserializer<unknown> | undefined;
  readonly #value: Deserializer<unknown> | undefined;
  /** Where a lane function looks at a record before its handler does, both see the same one, decoded once. */
  readonly #kept: WeakMap<ReceivedRecord, DecodedRecord> | undefined;

  constructor(
    options: { readonly key: Deserializer<unknown> | undefined; readonly value: Deserializer<unknown> | undefined },
    isSeenTwice: boolean,
  ) {
    this.#key = options.key;
    this.#value = options.value;
    this.#kept = isSeenTwice ? new WeakMap() : undefined;
  }

  of(received: ReceivedRecord): KafkaRecord<unknown, unknown> {
    if (this.#key === undefined && this.#value === undefined) return received;
    const known = this.#kept?.get(received);
    if (known !== undefined) return known;
    const view = new DecodedRecord(received, this.#key, this.#value);
    this.#kept?.set(received, view);
    return view;
  }
}
