import type { NextOffset, TopicPartition } from '../record.ts';
import type { ConfluentRecord } from './confluent-record.ts';

/** A partition that is assigned here, and what the reader knows about it. */
export interface OwnedPartition extends TopicPartition {
  /** The offset of the next record to come: what lies below was read, or was never asked for. */
  next: number;
  /** Its revocation has been reported: nothing of it is handed out any more, though it is still ours. */
  isWithheld: boolean;
  isPaused: boolean;
  /** The client itself does not fetch it, too. */
  isPausedNatively: boolean;
  /** What was read of it while it was paused. */
  aside: ConfluentRecord[];
  asideBytes: number;
  asidePosition: NextOffset | undefined;
  cameWhilePaused: number;
  /** The end that was last reached, as long as nothing was read behind it. */
  end: number | undefined;
  /** When it last gave a sign of life, and how long silence is fine. */
  lastHeardAt: number;
  silenceMs: number;
}

/** The partitions assigned here. Looked up per run of records, so a partition number is an index. */
export class OwnedPartitions implements Iterable<OwnedPartition> {
  readonly #topics = new Map<string, (OwnedPartition | undefined)[]>();

  get(topic: string, partition: number): OwnedPartition | undefined {
    return this.#topics.get(topic)?.[partition];
  }

  add(topic: string, partition: number, next: number): void {
    const partitions = this.#topics.get(topic) ?? [];
    this.#topics.set(topic, partitions);
    partitions[partition] = {
      topic,
      partition,
      next,
      isWithheld: false,
      isPaused: false,
      isPausedNatively: false,
      aside: [],
      asideBytes: 0,
      asidePosition: undefined,
      cameWhilePaused: 0,
      end: undefined,
      lastHeardAt: Date.now(),
      silenceMs: FIRST_SILENCE_MS,
    };
  }

  delete(topic: string, partition: number): void {
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

/** A partition that is neither at its end nor delivers for this long is looked at. */
const FIRST_SILENCE_MS = 5_000;
