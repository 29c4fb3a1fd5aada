import type { Headers, TopicPartition } from '../record.ts';
import { OwnedRecord } from '../record.ts';

/** A partition's log: records in offset order, with offsets between them that are no records. */
export class FakeLog implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  #records: OwnedRecord[] = [];
  #earliest = 0;
  #latest = 0;

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

  get records(): readonly OwnedRecord[] {
    return this.#records;
  }

  append(timestamp: number, key: Buffer | null, value: Buffer | null, headers: Headers): OwnedRecord {
    const record = new OwnedRecord(this.topic, this.partition, this.#latest++, timestamp, key, value, headers);
    this.#records.push(record);
    return record;
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

  /** At most `maxRecords` records at or behind `position`, and the position behind them: the log's end if nothing is left to read. */
  read(position: number, maxRecords: number): { readonly records: readonly OwnedRecord[]; readonly position: number } {
    const first = this.#indexAtOrAfter(position);
    const records = this.#records.slice(first, first + maxRecords);
    if (first + records.length >= this.#records.length) return { records, position: Math.max(position, this.#latest) };
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
