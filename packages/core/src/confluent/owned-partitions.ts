import type { NextOffset, TopicPartition } from '../record.ts';
import type { ConfluentRecord } from './confluent-record.ts';

/** A partition that is neither at its end nor delivers for this long is looked at. */
const FIRST_SILENCE_MS = 5_000;

/** What a paused partition may still bring before librdkafka itself has to pause it, which is dear. */
const ASIDE_RECORDS = 1_000;
const ASIDE_BYTES = 1024 * 1024;

/** Records of one partition, and the position that holds behind them. */
export interface PartitionRecords {
  readonly records: ConfluentRecord[];
  readonly bytes: number;
  readonly positions: NextOffset[];
}

/**
 * A partition that is assigned here. It is open (its records go to the buffer), paused (they are set aside), or withheld: its
 * revocation has been reported, and though it is still ours nothing of it is handed out any more.
 */
export class OwnedPartition implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The offset of the next record to come: what lies below was read, or was never asked for. */
  next: number;
  isWithheld = false;
  isPaused = false;
  /** librdkafka does not fetch it, too. */
  isPausedNatively = false;
  /** The end that was last reached, as long as nothing was read behind it. */
  end: number | undefined;
  /** When it last gave a sign of life, and how long silence is fine. */
  lastHeardAt: number = Date.now();
  silenceMs: number = FIRST_SILENCE_MS;
  /** When its position was last compared with its log. */
  lookedAt = 0;
  #aside: ConfluentRecord[] = [];
  #asideBytes = 0;
  #asidePosition: NextOffset | undefined;
  #cameWhilePaused = 0;

  constructor(topic: string, partition: number, next: number) {
    this.topic = topic;
    this.partition = partition;
    this.next = next;
  }

  /** Something of it came. */
  heard(): void {
    this.end = undefined;
    this.lastHeardAt = Date.now();
  }

  /** It goes on from another offset. */
  moveTo(offset: number): void {
    this.#forgetAside();
    this.next = offset;
    this.heard();
  }

  /** Paused from now on; `buffered` is what was read of it and not handed out. */
  pause({ records, bytes, positions }: PartitionRecords): void {
    this.isPaused = true;
    this.#aside = records;
    this.#asideBytes = bytes;
    const position = positions.at(-1);
    const last = records.at(-1);
    this.#asidePosition =
      position !== undefined && (last === undefined || last.offset < position.offset) ? position : undefined;
    this.#cameWhilePaused = 0;
  }

  /** Open again; gives what was set aside. */
  resume(): PartitionRecords {
    this.isPaused = false;
    this.lastHeardAt = Date.now();
    const positions = this.#asidePosition === undefined ? [] : [this.#asidePosition];
    const aside = { records: this.#aside, bytes: this.#asideBytes, positions };
    this.#forgetAside();
    return aside;
  }

  /** Keeps a record that came while paused. True when so much has come that librdkafka should pause it too. */
  setAside(record: ConfluentRecord): boolean {
    this.#aside.push(record);
    this.#asideBytes += record.sizeBytes;
    this.#asidePosition = undefined;
    this.#cameWhilePaused++;
    return this.#cameWhilePaused >= ASIDE_RECORDS || this.#asideBytes >= ASIDE_BYTES;
  }

  /** Keeps the position that holds behind what was set aside. */
  setPositionAside(position: NextOffset): void {
    this.#asidePosition = position;
  }

  withhold(): void {
    this.isWithheld = true;
    this.#forgetAside();
  }

  #forgetAside(): void {
    this.#aside = [];
    this.#asideBytes = 0;
    this.#asidePosition = undefined;
  }
}

/** The partitions assigned here. Looked up per run of records, so a partition number is an index. */
export class OwnedPartitions implements Iterable<OwnedPartition> {
  readonly #topics = new Map<string, (OwnedPartition | undefined)[]>();

  get(topic: string, partition: number): OwnedPartition | undefined {
    return this.#topics.get(topic)?.[partition];
  }

  /** Those of a list that are assigned here. */
  among(partitions: readonly TopicPartition[]): OwnedPartition[] {
    return partitions.map(({ topic, partition }) => this.get(topic, partition)).filter((owned) => owned !== undefined);
  }

  add(topic: string, partition: number, next: number): void {
    const partitions = this.#topics.get(topic) ?? [];
    this.#topics.set(topic, partitions);
    partitions[partition] = new OwnedPartition(topic, partition, next);
  }

  delete({ topic, partition }: TopicPartition): void {
    const partitions = this.#topics.get(topic);
    if (partitions === undefined) return;
    partitions[partition] = undefined;
    if (partitions.every((owned) => owned === undefined)) this.#topics.delete(topic);
  }

  *[Symbol.iterator](): Iterator<OwnedPartition> {
    for (const partitions of this.#topics.values()) {
      for (const owned of partitions) if (owned !== undefined) yield owned;
    }
  }
}
