import { ConfluentRecord, type RawMessage } from './confluent-record.ts';
import type { OwnedPartition, OwnedPartitions } from './owned-partitions.ts';

/** What a turn has brought for the buffer. */
export interface SortedRecords {
  readonly records: ConfluentRecord[];
  readonly bytes: number;
  /** The size of the largest one that came, paused partitions included. */
  readonly largest: number;
}

/** What becomes of records that the buffer does not get. */
export interface ForOthers {
  /** So much came of a paused partition that librdkafka should pause it, too. */
  tooMuch(owned: OwnedPartition): void;
  /** Of this partition nothing can be read any more. */
  unreadable(error: RangeError): void;
}

/** Sorts a turn's messages by what they are for, and moves their partitions' positions on. */
export function sortRecords(
  messages: readonly RawMessage[],
  partitions: OwnedPartitions,
  others: ForOthers,
): SortedRecords {
  const records: ConfluentRecord[] = [];
  let bytes = 0;
  let largest = 0;
  let owned: OwnedPartition | undefined;
  let topic: string | undefined;
  let partition = -1;
  for (const message of messages) {
    if (message.partition !== partition || message.topic !== topic) {
      topic = message.topic;
      partition = message.partition;
      owned = partitions.get(topic, partition);
      owned?.heard();
    }
    // Of a partition that went in the same turn, or from before a seek.
    if (owned === undefined || owned.isWithheld || message.offset < owned.next) continue;
    if (message.offset >= Number.MAX_SAFE_INTEGER) {
      owned.isWithheld = true;
      others.unreadable(new RangeError(`${topic}/${partition}: offset beyond Number.MAX_SAFE_INTEGER`));
      continue;
    }
    const record = new ConfluentRecord(message);
    owned.next = message.offset + 1;
    if (record.sizeBytes > largest) largest = record.sizeBytes;
    if (owned.isPaused) {
      if (owned.setAside(record)) others.tooMuch(owned);
      continue;
    }
    bytes += record.sizeBytes;
    records.push(record);
  }
  return { records, bytes, largest };
}
