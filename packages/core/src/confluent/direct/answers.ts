import { AuthorizationError, PollError } from '../../errors.ts';
import type { KafkaWorkerError } from '../../kafka-worker-error.ts';
import { CorruptRecordError, LogTruncatedError, OffsetOutOfRangeError } from '../../log-errors.ts';
import type { TopicPartition } from '../../record.ts';
import { topicRefused } from '../refusals.ts';
import { backoffMs } from './backoff.ts';
import type { BatchCodecs } from './batch-codecs.ts';
import type { BrokerAddress } from './broker-address.ts';
import type { ClusterMap } from './cluster-map.ts';
import type { DirectPartition } from './direct-partition.ts';
import { fetchFailure } from './fetch-failure.ts';
import type { FetchedPartition } from './fetch-response.ts';
import type { MalformedBytes } from './malformed-bytes.ts';
import { type CorruptBatch, readPartitionData } from './partition-data.ts';
import type { RecordBatch } from './record-batch.ts';
import { Reported } from './reported.ts';

/** A topic that may not be read is asked for this often: a right may come back. */
const REFUSED_MS = 5_000;

/** A batch that is corrupt so often in a row is so in the log. */
const CORRUPTIONS = 3;

/** What its answers are read with. */
export interface AnswersParts {
  readonly map: ClusterMap;
  readonly codecs: BatchCodecs;
  readonly isReadCommitted: boolean;
  readonly report: (error: KafkaWorkerError) => void;
  /** Asks where a log begins and ends. */
  readonly rangeOf: (partition: TopicPartition) => Promise<{ readonly earliest: number; readonly latest: number }>;
  /** Of this one librdkafka has to read on, for that reason. */
  readonly leave: (owned: DirectPartition, why: string) => void;
  /** Who leads has to be asked again. */
  readonly leaderLost: () => void;
  /** Something can be asked again that could not before. */
  readonly changed: () => void;
}

/** Takes the answers of brokers over into the partitions. */
export class Answers {
  readonly #parts: AnswersParts;
  readonly #reported: Reported;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
    this.#reported = new Reported(parts.report);
  }

  /** What came of a partition that is still where it was when it was asked for; `isFirst` where the request began with it. */
  received(
    owned: DirectPartition,
    answer: FetchedPartition,
    brokers: readonly BrokerAddress[],
    isFirst: boolean,
  ): void {
    if (answer.errorCode !== 0) {
      this.#failed(owned, answer, brokers);
    } else if (answer.divergingEpoch !== undefined && owned.replicaAt(performance.now()) !== undefined) {
      // It may have lost what the leader has.
      this.#askLeader(owned, 'its replica says that its log parts from what was read');
    } else if (answer.divergingEpoch !== undefined) {
      this.#diverging(owned, answer.divergingEpoch);
    } else if (answer.preferredReadReplica >= 0) {
      owned.readFrom(answer.preferredReadReplica);
    } else {
      this.#read(owned, answer);
      // The first one gets a batch of any size: it is not there, or longer than it can be.
      if (owned.isStarved && isFirst)
        this.#later(owned, `its broker sends no whole batch from offset ${owned.next} on, though its log goes on`);
    }
  }

  /** It was asked for, and the answer said nothing of it. */
  missing(owned: DirectPartition): void {
    if (owned.isWithheld) return;
    this.#later(owned, 'its broker leaves it out of its answers');
    this.#parts.leaderLost();
  }

  /** Its topic has another id than the one that was read. */
  recreated(owned: DirectPartition): void {
    const { next } = owned;
    owned.stop('truncated', next);
    const why = 'the topic was deleted, and created anew under its name';
    this.#parts.report(new LogTruncatedError({ ...placeOf(owned), offset: next }, 0, why));
  }

  /** A batch that is what was sent, and is no batch: no second answer would be any better. */
  unreadable(owned: DirectPartition, batch: RecordBatch, error: MalformedBytes): void {
    owned.dropBatches();
    const { nextOffset } = batch;
    owned.stop('corrupt', nextOffset);
    const place = { ...placeOf(owned), offset: nextOffset };
    this.#parts.report(new CorruptRecordError(place, batch.header.lastOffset, error.message));
  }

  /**
   * The leader has nothing of the epoch that was read, or that epoch ends before the offset. Where only the former is so, that alone says nothing: a replica
   * that was made anew of a compacted log knows no epoch of which nothing was left to copy. What comes next decides, for epochs only grow.
   */
  #diverging(
    owned: DirectPartition,
    { epoch, endOffset }: { readonly epoch: number; readonly endOffset: number },
  ): void {
    const isOlder = epoch >= 0 && epoch < owned.comparedEpoch;
    if (isOlder && endOffset >= owned.next) owned.compareWith(epoch);
    else this.#truncated(owned, endOffset, `its epoch ${epoch} ends at ${endOffset}`);
  }

  #truncated(owned: DirectPartition, endOffset: number, what: string): void {
    const { next, lastEpoch } = owned;
    const why = `its leader has lost what stood there (an unclean election; ${what}, and epoch ${lastEpoch} was read)`;
    owned.stop('truncated', next);
    this.#parts.report(new LogTruncatedError({ ...placeOf(owned), offset: next }, Math.min(endOffset, next), why));
  }

  #read(owned: DirectPartition, answer: FetchedPartition): void {
    const { isReadCommitted, codecs } = this.#parts;
    const { highWatermark, lastStableOffset, logStartOffset, records, abortedTransactions } = answer;
    const data = readPartitionData(
      {
        ...placeOf(owned),
        bytes: records ?? Buffer.alloc(0),
        from: owned.next,
        abortedTransactions: isReadCommitted ? abortedTransactions : undefined,
      },
      codecs,
    );
    const epoch = data.batches[0]?.header.leaderEpoch ?? owned.lastEpoch;
    if (owned.comparedEpoch < owned.lastEpoch && epoch >= 0 && epoch < owned.lastEpoch) {
      this.#truncated(owned, owned.next, `it has epoch ${epoch} there`);
      return;
    }
    const readableEnd = isReadCommitted && lastStableOffset >= 0 ? lastStableOffset : highWatermark;
    owned.receive(data, { logStart: logStartOffset, highWatermark, readableEnd });
    this.#reported.ended(nameOf(owned));
    this.#reported.ended(owned.topic);
    if (data.corrupt === undefined) owned.corruptions = 0;
    else this.#corrupt(owned, data.corrupt);
  }

  /** What is whole before it is handed out. It may be whole when it is asked for again, if a wire or some memory on the way was to blame. */
  #corrupt(owned: DirectPartition, { firstOffset, lastOffset, reason, isForLibrdkafka }: CorruptBatch): void {
    owned.corruptions++;
    if (owned.corruptions < CORRUPTIONS) {
      this.#wait(owned);
      return;
    }
    if (isForLibrdkafka) {
      this.#parts.leave(owned, `${reason}, at offset ${firstOffset}`);
      return;
    }
    owned.stop('corrupt', owned.next);
    this.#parts.report(new CorruptRecordError({ ...placeOf(owned), offset: firstOffset }, lastOffset, reason));
  }

  #failed(owned: DirectPartition, answer: FetchedPartition, brokers: readonly BrokerAddress[]): void {
    const { map, leaderLost } = this.#parts;
    const { errorCode, currentLeader } = answer;
    const what = fetchFailure(errorCode);
    if (owned.replicaAt(performance.now()) !== undefined) {
      this.#askLeader(owned, `its replica answers with error ${errorCode}`);
    } else if (what === 'out of range') {
      void this.#outOfRange(owned);
    } else if (what === 'not authorized') {
      owned.notBefore = performance.now() + REFUSED_MS;
      this.#reported.begins(owned.topic, topicRefused('READ', [owned.topic], undefined));
    } else if (what === 'ask again') {
      this.#later(owned, `its broker answers with error ${errorCode}`);
    } else {
      const before = map.leaderOf(owned)?.epoch ?? -1;
      if (currentLeader !== undefined) map.learnLeader(owned, currentLeader, brokers);
      if ((map.leaderOf(owned)?.epoch ?? -1) > before) return;
      leaderLost();
      if (what !== 'corrupt' && what !== 'unknown') {
        this.#later(owned, `its broker answers with error ${errorCode}`);
      } else {
        this.#wait(owned);
        this.#reported.begins(
          nameOf(owned),
          new PollError(`${nameOf(owned)}: its broker cannot read offset ${owned.next} (${errorCode})`, {
            retriable: true,
          }),
        );
      }
    }
  }

  async #outOfRange(owned: DirectPartition): Promise<void> {
    const { rangeOf, report, changed, map } = this.#parts;
    const { next, lastEpoch } = owned;
    // Epochs only grow. The leader has answered for its own, so it is not one that has not heard of a younger one.
    const leaderEpoch = map.leaderOf(owned)?.epoch ?? -1;
    const isOfAnotherLog = leaderEpoch >= 0 && lastEpoch > leaderEpoch;
    owned.stop('out of range', next);
    const { moves } = owned;
    let range: { readonly earliest: number; readonly latest: number } | undefined;
    try {
      range = await rangeOf(placeOf(owned));
    } catch (error) {
      if (error instanceof AuthorizationError) report(error);
    }
    // It was moved, or taken away, meanwhile.
    if (owned.moves !== moves) return;
    if (range !== undefined && (next < range.earliest || next > range.latest)) {
      report(new OffsetOutOfRangeError({ ...placeOf(owned), offset: next }, range));
      return;
    }
    if (isOfAnotherLog) {
      this.recreated(owned);
      return;
    }
    // The broker that said so was behind, or nobody knows.
    owned.stoppedBy = undefined;
    const log =
      range === undefined ? 'and nobody tells what its log has' : `which has ${range.earliest} to ${range.latest}`;
    this.#later(owned, `its leader says that offset ${next} is not in its log, ${log}`);
    changed();
  }

  /** Only the leader knows for sure. */
  #askLeader(owned: DirectPartition, reason: string): void {
    owned.leaveReplica();
    owned.asksLeaderItself = true;
    this.#later(owned, reason);
  }

  /** For a reason that may pass; if it does not, it is told after a while. */
  #later(owned: DirectPartition, reason: string): void {
    owned.failed(reason, false);
    this.#wait(owned);
  }

  #wait(owned: DirectPartition): void {
    owned.failures++;
    owned.notBefore = performance.now() + backoffMs(owned.failures);
  }
}

function placeOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
