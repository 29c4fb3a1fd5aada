import type { TopicPartition } from '../../record.ts';
import type { DirectRecord } from './direct-record.ts';
import { NearestReplica } from './nearest-replica.ts';
import type { PartitionData } from './partition-data.ts';
import type { RecordBatch } from './record-batch.ts';
import { Silence } from './silence.ts';

/** What a response says of a partition's log. */
export interface LogEnds {
  readonly logStart: number;
  readonly highWatermark: number;
  /** The end of what may be read. */
  readonly readableEnd: number;
}

/** What reading goes on with, once what has stopped it is gone. */
export type Stop = 'out of range' | 'corrupt' | 'truncated' | 'left to librdkafka';

/**
 * A partition that is assigned here: where reading stands, and what was read and not yet taken. Nothing is asked of one that is paused, withheld (its
 * revocation has been reported), stopped (by an error that has been reported, or for the other reader to go on), or full.
 */
export class DirectPartition implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The offset that is asked for next. */
  next: number;
  isPaused = false;
  isWithheld = false;
  stoppedBy: Stop | undefined;
  /** A request for it is on its way. */
  isAsked = false;
  /** After an error that passes it is not asked for before that time. */
  notBefore = 0;
  /** How often in a row that was so. */
  failures = 0;
  /** How often in a row what came of it was corrupt. */
  corruptions = 0;
  lastHeardAt: number = Date.now();
  /** The topic that has answered first, since the position was given: another one of the same name has another id. */
  topicId: string | undefined;
  /** The epoch of the last batch that was read, here or by whoever has committed the position; -1 where it is not known. */
  lastEpoch: number;
  /** An older one that the leader's log has in its place: compaction may have left it nothing of the last one. */
  #olderEpoch: number | undefined;
  /** Only the leader itself can say what its log has: it is not to name a replica. */
  asksLeaderItself = false;
  /** Since when it does not come although it is asked for; undefined when it came the last time. */
  silence: Silence | undefined;
  /** The last answer had not even one whole batch, though there is more: it has to come first in the next request. */
  isStarved = false;
  ends: LogEnds | undefined;
  /** Counts how often its position was moved, so that an answer to what was asked before is known. */
  moves = 0;
  #batches: RecordBatch[] = [];
  #bytes = 0;
  #reported: number | undefined;
  /** Who is asked. */
  readonly #nearest = new NearestReplica();

  constructor(topic: string, partition: number, next: number, lastEpoch: number = -1) {
    this.topic = topic;
    this.partition = partition;
    this.next = next;
    this.lastEpoch = lastEpoch;
  }

  /** Bytes of the responses that wait here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records that wait here, those before the offset that was asked for among them. */
  get records(): number {
    return this.#batches.reduce((total, batch) => total + batch.left, 0);
  }

  get hasRecords(): boolean {
    return this.#batches.length > 0;
  }

  get isOpen(): boolean {
    return !this.isPaused && !this.isWithheld;
  }

  /** The epoch that the leader is to compare with its log. */
  get comparedEpoch(): number {
    return this.#olderEpoch ?? this.lastEpoch;
  }

  /** The leader's log has nothing of the epoch that it was to compare, and of this older one as much as was read. */
  compareWith(epoch: number): void {
    this.#olderEpoch = epoch;
  }

  /** The end that it has been read to, if it has, though not all of it need have been taken. */
  get end(): number | undefined {
    return this.ends !== undefined && this.next >= this.ends.readableEnd ? this.next : undefined;
  }

  /** The end, when all before it was taken and it has not been told yet. From then on it counts as told. */
  takePosition(): number | undefined {
    const { end } = this;
    if (end === undefined || end === this.#reported || this.hasRecords) return undefined;
    this.#reported = end;
    return end;
  }

  /** It goes on from another offset. */
  moveTo(offset: number, lastEpoch: number = -1): void {
    this.#empty();
    this.moves++;
    this.next = offset;
    this.lastEpoch = lastEpoch;
    this.#olderEpoch = undefined;
    this.asksLeaderItself = false;
    this.ends = undefined;
    this.stoppedBy = undefined;
    this.isStarved = false;
    this.topicId = undefined;
    this.corruptions = 0;
    this.silence = undefined;
    this.notBefore = 0;
    this.#reported = undefined;
    this.#nearest.reset();
  }

  withhold(): void {
    this.isWithheld = true;
    this.moves++;
    this.#empty();
  }

  /** Reading ends in front of this offset, until somebody moves it. */
  stop(why: Stop, next: number): void {
    this.stoppedBy = why;
    this.next = next;
    this.moves++;
  }

  /** It did not come, though it was asked for; `isUnreachable` where nobody has answered who could tell anything about it. */
  failed(reason: string, isUnreachable: boolean): void {
    this.silence ??= new Silence(performance.now());
    this.silence.failed(reason, isUnreachable);
  }

  /** Another reader goes on, behind the last record that was taken. */
  leave(): void {
    const next = this.firstBatch?.nextOffset ?? this.next;
    this.#empty();
    this.stop('left to librdkafka', next);
  }

  /** What came of it. */
  receive(data: PartitionData, ends: LogEnds): void {
    this.lastHeardAt = Date.now();
    this.ends = ends;
    this.next = data.next;
    // Brokers leave out a batch that is larger than what was asked for, unless the partition comes first.
    this.isStarved = data.leaderEpoch === undefined && data.corrupt === undefined && this.end === undefined;
    if (!this.isStarved) {
      this.failures = 0;
      this.silence = undefined;
    }
    this.asksLeaderItself = false;
    this.#nearest.answered();
    if (data.leaderEpoch !== undefined) {
      this.lastEpoch = data.leaderEpoch;
      this.#olderEpoch = undefined;
    }
    for (const batch of data.batches) {
      this.#batches.push(batch);
      this.#bytes += batch.bytes;
    }
  }

  /**
   * Adds up to `max` records to `into`. Once `mostUnpacked` bytes were unpacked for it, and there is anything in `into`, no further batch is. Gives
   * how many were. @throws MalformedBytes for a batch that cannot be read: it is `firstBatch` then
   */
  take(max: number, into: DirectRecord[], mostUnpacked: number = Number.POSITIVE_INFINITY): number {
    const limit = into.length + max;
    let unpacked = 0;
    for (let batch = this.#batches[0]; batch !== undefined && into.length < limit; batch = this.#batches[0]) {
      const { isPacked } = batch;
      if (isPacked && unpacked >= mostUnpacked && into.length > 0) break;
      batch.read(limit - into.length, into);
      if (isPacked) unpacked += batch.unpackedBytes;
      if (!batch.isRead) break;
      this.#batches.shift();
      this.#bytes -= batch.bytes;
    }
    return unpacked;
  }

  /** The batch that is read next. */
  get firstBatch(): RecordBatch | undefined {
    return this.#batches[0];
  }

  /** Drops what was read and not taken. */
  dropBatches(): void {
    this.#empty();
  }

  /** Which replica to ask, or is being asked. */
  replicaAt(now: number): number | undefined {
    return this.#nearest.at(now, this.isAsked);
  }

  /** The leader has named a replica that is nearer. */
  readFrom(replica: number): void {
    this.#nearest.named(replica, performance.now());
  }

  /** Who was asked has failed: the leader is asked. */
  leaveReplica(): void {
    this.#nearest.failed(performance.now());
  }

  /** Whether the leader shall send records itself, whoever is nearer. */
  isLeaderOnlyAt(now: number): boolean {
    return this.asksLeaderItself || this.#nearest.isLeaderOnlyAt(now);
  }

  #empty(): void {
    this.#batches = [];
    this.#bytes = 0;
  }
}
