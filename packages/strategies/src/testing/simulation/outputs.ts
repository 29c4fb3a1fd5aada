import { deadLetterHeaders, type NextOffset, type OutgoingRecord } from '@kafka-worker/core';
import type { Epoch } from './epoch.ts';
import type { Invariant } from './invariants.ts';
import { nameOf, type Place, type SentRecord, type SentRecords } from './sent-records.ts';
import type { SimulatedCall } from './simulated-call.ts';

/** A message that a handler has sent, or a dead letter, as a reader finds it. */
export interface Output {
  /** Nobody else's: of one call, one record and one `send`. */
  readonly id: string;
  /** The record that it was sent for. */
  readonly source: Place;
}

/** What outputs have to know of a run. */
export interface OutputsParts {
  readonly sent: SentRecords;
  readonly now: () => number;
  /** What the group has committed of a partition. */
  readonly committed: (partition: number) => number | undefined;
  /** What a reader of what is committed sees, in the order of the log. */
  readonly visible: () => readonly Output[];
  readonly epoch: (process: string, partition: number) => Epoch | undefined;
  readonly report: (invariant: Invariant, what: string) => void;
}

/** What became of what a call has sent for a record. */
interface CallOutput {
  readonly ids: string[];
  end: 'open' | 'finished' | 'late';
}

/** What handlers send under a delivery that writes it with the offsets, and what readers see of it. */
export class Outputs {
  readonly #parts: OutputsParts;
  readonly #numbers = new WeakMap<SimulatedCall, number>();
  /** By the call's number and the record. */
  readonly #calls = new Map<string, CallOutput>();
  /** What the records that were finished in an epoch have sent, by their offsets. */
  readonly #kept = new WeakMap<Epoch, Map<number, readonly string[]>>();
  /** Records of which nothing may be there, and those whose dead letter may. */
  readonly #silent = new Set<string>();
  readonly #deadLettered = new Set<string>();
  #count = 0;

  constructor(parts: OutputsParts) {
    this.#parts = parts;
  }

  /** A handler sends one more message for a record: its value. */
  sends(call: SimulatedCall, record: SentRecord): string {
    const output = this.#outputOf(call, record);
    const id = `${this.#numberOf(call)}:${nameOf(record)}:${output.ids.length}`;
    output.ids.push(id);
    return id;
  }

  /** A call has finished a record. */
  finished(call: SimulatedCall, record: SentRecord): void {
    const output = this.#outputOf(call, record);
    const epoch = call.epochs.get(record.partition);
    const isGone =
      epoch === undefined || epoch.state === 'over' || (epoch.state === 'lost' && this.#parts.now() > epoch.since);
    output.end = isGone || call.isAbandoned ? 'late' : 'finished';
    if (epoch === undefined || output.end === 'late') return;
    if (output.ids.length === 0) this.#silent.add(nameOf(record));
    this.#keptOf(epoch).set(record.offset, output.ids);
  }

  /** A worker has finished a record otherwise: with a dead letter, or with nothing. */
  passedOver(epoch: Epoch | undefined, record: Place, isDeadLettered: boolean): void {
    (isDeadLettered ? this.#deadLettered : this.#silent).add(nameOf(record));
    if (epoch !== undefined) this.#keptOf(epoch).set(record.offset, isDeadLettered ? [deadLetterId(record)] : []);
  }

  /** A process commits a transaction: it has to contain what the records between the last offset and the next one have sent, and nothing else. */
  transaction(process: string, sends: readonly Output[], offsets: readonly NextOffset[]): void {
    const { sent, committed, report, epoch: epochOf } = this.#parts;
    for (const { partition, offset } of offsets) {
      const epoch = epochOf(process, partition);
      if (epoch === undefined) continue;
      const kept = this.#keptOf(epoch);
      const from = committed(partition) ?? epoch.start;
      const expected = sent.between(partition, from, offset).flatMap((record) => kept.get(record.offset) ?? []);
      const found = sends.filter(({ source }) => source.partition === partition).map(({ id }) => id);
      if (expected.join() !== found.join())
        report(
          'transaction-content',
          `${process} commits partition ${partition} from ${from} to ${offset} with [${found.join()}], not [${expected.join()}]`,
        );
    }
    for (const { id, source } of sends) {
      if (this.#callOf(id)?.end === 'late') report('late-owner', `${process} writes ${id}, which had come too late`);
      if (!offsets.some(({ partition }) => partition === source.partition))
        report('transaction-content', `${process} writes ${id} in a transaction without an offset of its partition`);
    }
  }

  /** At any moment: what is committed is there, what is not is not. */
  check(): void {
    const { sent, committed, report } = this.#parts;
    const visible = this.#visibleByRecord();
    for (const partition of sent.partitions()) {
      const next = committed(partition) ?? 0;
      for (const record of sent.of(partition)) {
        const ids = visible.get(nameOf(record)) ?? [];
        if (record.offset >= next && ids.length > 0)
          report('atomic', `${ids.join()} can be read, and partition ${partition} is committed at ${next}`);
        if (record.offset < next && ids.length === 0 && !this.#silent.has(nameOf(record)))
          report(
            'atomic',
            `partition ${partition} is committed at ${next}, and nothing of ${nameOf(record)} can be read`,
          );
        this.#checkRecord(record, ids);
      }
    }
    this.#checkOrder();
  }

  /** At the end: everything is there. */
  checkEnd(): void {
    const { sent, report } = this.#parts;
    this.check();
    const byRecord = this.#visibleByRecord();
    for (const partition of sent.partitions())
      for (const record of sent.of(partition))
        if (!byRecord.has(nameOf(record)) && !this.#silent.has(nameOf(record)))
          report('once', `nothing of ${nameOf(record)} can be read`);
  }

  #checkOrder(): void {
    const { visible, report } = this.#parts;
    const last = new Map<number, Output>();
    for (const output of visible()) {
      const { id, source } = output;
      if (isDeadLetter(id)) continue;
      const before = last.get(source.partition);
      if (before !== undefined && !isBehind(output, before)) report('output-order', `${id} comes after ${before.id}`);
      last.set(source.partition, output);
    }
  }

  #checkRecord(record: SentRecord, ids: readonly string[]): void {
    const { report } = this.#parts;
    const [first] = ids;
    if (first === undefined) return;
    if (isDeadLetter(first)) {
      if (ids.length > 1 || !this.#deadLettered.has(nameOf(record)))
        report('once', `of ${nameOf(record)} there is ${ids.join()}`);
      return;
    }
    const output = this.#callOf(first);
    if (output?.end === 'late') report('late-owner', `${first} can be read, and its process had lost the partition`);
    else if (output?.end !== 'finished')
      report('once', `${first} can be read, and its call has not finished the record`);
    else if (output.ids.join() !== ids.join())
      report('once', `of ${nameOf(record)} there is [${ids.join()}], not [${output.ids.join()}]`);
  }

  #callOf(id: string): CallOutput | undefined {
    return this.#calls.get(id.slice(0, id.lastIndexOf(':')));
  }

  #visibleByRecord(): Map<string, string[]> {
    const all = new Map<string, string[]>();
    for (const { id, source } of this.#parts.visible()) {
      const ids = all.get(nameOf(source)) ?? [];
      ids.push(id);
      all.set(nameOf(source), ids);
    }
    return all;
  }

  #numberOf(call: SimulatedCall): number {
    const number = this.#numbers.get(call) ?? this.#count++;
    this.#numbers.set(call, number);
    return number;
  }

  #outputOf(call: SimulatedCall, record: SentRecord): CallOutput {
    const name = `${this.#numberOf(call)}:${nameOf(record)}`;
    const output = this.#calls.get(name) ?? { ids: [], end: 'open' };
    this.#calls.set(name, output);
    return output;
  }

  #keptOf(epoch: Epoch): Map<number, readonly string[]> {
    const kept = this.#kept.get(epoch) ?? new Map<number, readonly string[]>();
    this.#kept.set(epoch, kept);
    return kept;
  }
}

/** Whether it is of a later record, or the same call's next one. Of what two calls have sent for one record, not both may be there anyway. */
function isBehind({ id, source }: Output, before: Output): boolean {
  return source.offset === before.source.offset ? id > before.id : source.offset > before.source.offset;
}

/** What a message that is being written, or was, is as an output. */
export function outputOf({ topic, value, headers }: Pick<OutgoingRecord, 'topic' | 'value' | 'headers'>): Output {
  if (topic !== DEAD_LETTERS) {
    const id = String(value);
    const [partition, offset] = (id.split(':')[1] ?? '').split('@').map(Number) as [number, number];
    return { id, source: { partition, offset } };
  }
  const of = (wanted: string): number => {
    for (const [name, content] of headers as Iterable<readonly [string, unknown]>)
      if (name === wanted) return Number(String(content));
    throw new Error(`a dead letter has no ${wanted}`);
  };
  const source = { partition: of(deadLetterHeaders.partition), offset: of(deadLetterHeaders.offset) };
  return { id: deadLetterId(source), source };
}

/** Where dead letters go. */
export const DEAD_LETTERS = 'dead';

function deadLetterId(record: Place): string {
  return `dead:${nameOf(record)}`;
}

function isDeadLetter(id: string): boolean {
  return id.startsWith('dead:');
}
