import type { NextOffset, TopicPartition } from '../record.ts';
import type { ConfluentRecord } from './confluent-record.ts';

interface Entry {
  records: ConfluentRecord[];
  bytes: number;
  /** They hold once the records beside and before them are taken. */
  positions: NextOffset[];
}

/** What was read and not yet taken, in the order of reading. Whole chunks go through it without being copied. Pure. */
export class RecordBuffer {
  readonly #entries: Entry[] = [];
  #records = 0;
  #bytes = 0;

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether records of a partition are in it. */
  holds({ topic, partition }: TopicPartition): boolean {
    return this.#entries.some(({ records }) => records.some((r) => r.partition === partition && r.topic === topic));
  }

  push(records: ConfluentRecord[], bytes: number, positions: NextOffset[] = []): void {
    this.#insert(records, bytes, positions, false);
  }

  /** In front of everything: for what was set aside and comes back. */
  unshift(records: ConfluentRecord[], bytes: number, positions: NextOffset[] = []): void {
    this.#insert(records, bytes, positions, true);
  }

  /** At most `max` records; fewer although more are there when that spares a copy. */
  take(max: number): { records: ConfluentRecord[]; positions: NextOffset[] } {
    let records: ConfluentRecord[] = [];
    let positions: NextOffset[] = [];
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      // A position is news only as long as nothing behind it is.
      if (positions.length > 0 && entry.records.length > 0) break;
      const wanted = max - records.length;
      if (entry.records.length > wanted) {
        if (records.length === 0 && wanted > 0) records = this.#takePart(entry, wanted);
        break;
      }
      this.#entries.shift();
      this.#records -= entry.records.length;
      this.#bytes -= entry.bytes;
      records = records.length === 0 ? entry.records : records.concat(entry.records);
      if (entry.positions.length > 0) positions = positions.concat(entry.positions);
    }
    return { records, positions };
  }

  /** Takes out, in order, all that belongs to a partition. */
  remove(partition: TopicPartition): { records: ConfluentRecord[]; bytes: number; positions: NextOffset[] } {
    const isOfIt = (item: TopicPartition): boolean =>
      item.partition === partition.partition && item.topic === partition.topic;
    const removed: ConfluentRecord[] = [];
    const positions: NextOffset[] = [];
    let removedBytes = 0;
    for (const entry of this.#entries) {
      const kept = entry.records.filter((record) => !isOfIt(record));
      if (kept.length < entry.records.length) {
        const gone = entry.records.filter(isOfIt);
        const bytes = sizeOf(gone);
        for (const record of gone) removed.push(record);
        entry.records = kept;
        entry.bytes -= bytes;
        removedBytes += bytes;
      }
      if (entry.positions.some(isOfIt)) {
        positions.push(...entry.positions.filter(isOfIt));
        entry.positions = entry.positions.filter((position) => !isOfIt(position));
      }
    }
    this.#records -= removed.length;
    this.#bytes -= removedBytes;
    return { records: removed, bytes: removedBytes, positions };
  }

  #insert(records: ConfluentRecord[], bytes: number, positions: NextOffset[], inFront: boolean): void {
    if (records.length === 0 && positions.length === 0) return;
    const entry = { records, bytes, positions };
    if (inFront) this.#entries.unshift(entry);
    else this.#entries.push(entry);
    this.#records += records.length;
    this.#bytes += bytes;
  }

  #takePart(entry: Entry, count: number): ConfluentRecord[] {
    const part = entry.records.slice(0, count);
    const bytes = sizeOf(part);
    entry.records = entry.records.slice(count);
    entry.bytes -= bytes;
    this.#records -= count;
    this.#bytes -= bytes;
    return part;
  }
}

function sizeOf(records: readonly ConfluentRecord[]): number {
  let bytes = 0;
  for (const record of records) bytes += record.sizeBytes;
  return bytes;
}
