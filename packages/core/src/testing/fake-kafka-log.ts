import type { Headers, TopicPartition } from '../record.ts';
import { OwnedRecord } from '../record.ts';

/** A partition's log: records in offset order, with offsets between them that are no records. */
export class FakeLog implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  #records: OwnedRecord[] = [];
  #earliest = 0;
  #latest = 0;
  /** What transactions that are open have written: nobody sees it, nor anything behind the first of it. */
  readonly #open = new Map<object, OwnedRecord[]>();

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** The log's start: the first offset that can be read. */
  get earliest(): number {
    return this.#earliest;
  }

  /** The log's end: the offset that the next record will get. */
  get latest(): number {
    return this.#latest;
  }

  /** The last stable offset: the end for those who read what is committed. */
  get stableEnd(): number {
    let end = this.#latest;
    for (const [first] of this.#open.values()) end = Math.min(end, first?.offset ?? end);
    return end;
  }

  /** Without those of transactions that are open or were aborted. */
  get records(): readonly OwnedRecord[] {
    if (this.#open.size === 0) return this.#records;
    const open = new Set([...this.#open.values()].flat());
    return this.#records.filter((record) => !open.has(record));
  }

  append(
    timestamp: number,
    key: Buffer | null,
    value: Buffer | null,
    headers: Headers,
    transaction?: object,
  ): OwnedRecord {
    const record = new OwnedRecord(this.topic, this.partition, this.#latest++, timestamp, key, value, headers);
    this.#records.push(record);
    if (transaction !== undefined) this.#open.set(transaction, [...(this.#open.get(transaction) ?? []), record]);
    return record;
  }

  /** A transaction is over: its marker takes an offset, and what it wrote is there for everybody, or for nobody. */
  endTransaction(transaction: object, how: 'commit' | 'abort'): void {
    const written = new Set(this.#open.get(transaction));
    if (!this.#open.delete(transaction)) return;
    if (how === 'abort') this.#records = this.#records.filter((record) => !written.has(record));
    this.appendGap(1);
  }

  /** Takes `offsets` offsets that no record has, as the markers of a transaction and aborted records do. */
  appendGap(offsets: number): void {
    this.#latest += offsets;
  }

  /** Removes one record as compaction does: its offset stays used. */
  compact(offset: number): void {
    this.#records = this.#records.filter((record) => record.offset !== offset);
  }

  /** Moves the log's start up to an offset, as retention does. */
  deleteBefore(offset: number): void {
    this.#earliest = Math.min(Math.max(this.#earliest, offset), this.#latest);
    this.#records = this.#records.filter((record) => record.offset >= this.#earliest);
  }

  /** At most `maxRecords` committed records at or behind `position`, and the position behind them: the stable end if nothing is left to read. */
  read(position: number, maxRecords: number): { readonly records: readonly OwnedRecord[]; readonly position: number } {
    const { stableEnd } = this;
    const first = this.#indexAtOrAfter(position);
    const end = this.#indexAtOrAfter(stableEnd);
    const records = this.#records.slice(first, Math.min(first + maxRecords, end));
    if (first + records.length >= end) return { records, position: Math.max(position, stableEnd) };
    const last = records.at(-1);
    return { records, position: last === undefined ? position : last.offset + 1 };
  }

  /** The first offset whose record's timestamp is not before `timestamp`, or the log's end. */
  offsetAt(timestamp: number): number {
    return this.#records.find((record) => record.timestamp >= timestamp)?.offset ?? this.#latest;
  }

  #indexAtOrAfter(offset: number): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#records[middle]?.offset ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
