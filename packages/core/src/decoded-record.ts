import type { Deserializer } from './deserializer.ts';
import { DeserializationError } from './handler-errors.ts';
import { copyRecord, type Headers, type KafkaRecord, type ReceivedRecord, recordToJSON } from './record.ts';

/** A record whose key and value are decoded on first use, once. */
export class DecodedRecord implements KafkaRecord<unknown, unknown> {
  readonly #received: ReceivedRecord;
  readonly #keyDeserializer: Deserializer<unknown> | undefined;
  readonly #valueDeserializer: Deserializer<unknown> | undefined;
  #key: { readonly decoded: unknown } | undefined;
  #value: { readonly decoded: unknown } | undefined;

  constructor(
    received: ReceivedRecord,
    key: Deserializer<unknown> | undefined,
    value: Deserializer<unknown> | undefined,
  ) {
    this.#received = received;
    this.#keyDeserializer = key;
    this.#valueDeserializer = value;
  }

  get topic(): string {
    return this.#received.topic;
  }
  get partition(): number {
    return this.#received.partition;
  }
  get offset(): number {
    return this.#received.offset;
  }
  get timestamp(): number {
    return this.#received.timestamp;
  }
  get headers(): Headers {
    return this.#received.headers;
  }

  /** @throws DeserializationError */
  get key(): unknown {
    // Kept here, it would keep alive what the record itself may let go of.
    if (this.#keyDeserializer === undefined) return this.#received.key;
    this.#key ??= { decoded: this.#decode('key', this.#keyDeserializer, this.#received.key) };
    return this.#key.decoded;
  }

  /** @throws DeserializationError */
  get value(): unknown {
    if (this.#valueDeserializer === undefined) return this.#received.value;
    this.#value ??= { decoded: this.#decode('value', this.#valueDeserializer, this.#received.value) };
    return this.#value.decoded;
  }

  /** The bytes as text, which cannot fail where decoding would. */
  toJSON(): object {
    return recordToJSON(this.#received);
  }

  copy(): DecodedRecord {
    return new DecodedRecord(copyRecord(this.#received), this.#keyDeserializer, this.#valueDeserializer);
  }

  #decode(part: 'key' | 'value', deserializer: Deserializer<unknown>, bytes: Buffer | null): unknown {
    try {
      return deserializer.deserialize(bytes, this.#received);
    } catch (error) {
      throw new DeserializationError(this.#received, part, error);
    }
  }
}
