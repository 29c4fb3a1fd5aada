import { AuthenticationError, AuthorizationError, ConnectionError } from '../errors.ts';
import type { StartOffset, Watermarks } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { OffsetOutOfRangeError } from '../log-errors.ts';
import type { TopicPartition } from '../record.ts';
import { nativeCode, toNativeError } from './client-errors.ts';
import type { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { NativeConsumer } from './native-client.ts';
import { resolveOffsets } from './offset-queries.ts';
import type { OwnedPartition } from './owned-partitions.ts';
import type { RawClient } from './raw-client.ts';

const LOOK_EVERY_MS = 2_500;
const LONGEST_SILENCE_MS = 60_000;

/** One that is at its end may be silent for ever; whether that is still its end is asked this often. */
const IDLE_MS = 20_000;

/** How long a partition may have more to read and not move while librdkafka's queue never runs dry. */
const PATIENCE_MS = 60_000;

interface Stalled {
  readonly next: number;
  readonly at: number;
  readonly patienceMs: number;
}

/**
 * Finds partitions whose position is outside their log. librdkafka stops reading such a partition with an error that names neither
 * topic nor partition, and the native client drops the error (and end-of-partition events with it) when records came in the same turn.
 * So partitions that are silent are looked at, rarely where they are at their end, and all of them after any error.
 */
export class PositionCheck {
  readonly #raw: RawClient<NativeConsumer>;
  readonly #reader: LibrdkafkaReader;
  readonly #report: (error: KafkaWorkerError) => void;
  /** Has a partition read anew from where it stands. */
  readonly #restart: (start: StartOffset) => void;
  /** Where partitions stood that had more to read and did not, at the last look. */
  readonly #stalled = new WeakMap<OwnedPartition, Stalled>();
  /** Those of which one has been stopped. */
  readonly #suspects = new Set<OwnedPartition>();
  readonly #reported = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;
  #isWanted = false;

  constructor(
    raw: RawClient<NativeConsumer>,
    reader: LibrdkafkaReader,
    report: (error: KafkaWorkerError) => void,
    restart: (start: StartOffset) => void,
  ) {
    this.#raw = raw;
    this.#reader = reader;
    this.#report = report;
    this.#restart = restart;
    this.#timer = setInterval(() => this.#lookAtSilent(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** These were given a new position. */
  forget(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#reported.delete(`${topic}/${partition}`);
  }

  /** librdkafka has stopped reading one of them, and does not say which. It may be one that is at its end. */
  oneHasStopped(): void {
    for (const owned of this.#reader.owned) this.#suspects.add(owned);
    this.lookAtAll();
  }

  lookAtAll(): void {
    if (this.#isLooking) {
      this.#isWanted = true;
      return;
    }
    void this.#look(Array.from(this.#reader.owned).filter((owned) => this.#isOpen(owned)));
  }

  #lookAtSilent(): void {
    if (this.#isLooking) return;
    const now = Date.now();
    const silent = Array.from(this.#reader.owned).filter(
      (owned) => !owned.isWithheld && !owned.isPaused && (this.#suspects.has(owned) || isSilent(owned, now)),
    );
    for (const owned of silent) {
      owned.lookedAt = now;
      if (owned.end === undefined) owned.silenceMs = Math.min(owned.silenceMs * 2, LONGEST_SILENCE_MS);
    }
    if (silent.length > 0) void this.#look(silent);
  }

  /** Whether there is more to know of it than that it is at its end. */
  #isOpen(owned: OwnedPartition): boolean {
    return !owned.isWithheld && (owned.end === undefined || this.#suspects.has(owned));
  }

  async #look(partitions: readonly OwnedPartition[]): Promise<void> {
    if (partitions.length === 0 || !this.#raw.isUsable) return;
    this.#isLooking = true;
    const ours = new Set(this.#reader.owned);
    for (const suspect of this.#suspects) if (!ours.has(suspect)) this.#suspects.delete(suspect);
    // One by one, so that a topic that is gone, or that we may not see, does not hide what is wrong with others; nor a partition without a leader.
    for (const topic of new Set(partitions.map((owned) => owned.topic))) {
      const ofTopic = partitions.filter((owned) => owned.topic === topic);
      if ((await this.#haveLookedAt(ofTopic)) || ofTopic.length === 1) continue;
      for (const owned of ofTopic) await this.#haveLookedAt([owned]);
    }
    this.#isLooking = false;
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.lookAtAll();
  }

  /** False when nothing was learned, and asking for each of them may tell of some: not where the brokers do not answer at all. */
  async #haveLookedAt(partitions: readonly OwnedPartition[]): Promise<boolean> {
    try {
      await this.#lookAtTopic(partitions);
    } catch (error) {
      // Brokers that cannot answer now, and topics that are gone, are reported by what they cannot do for the reader.
      const isRefused = error instanceof AuthorizationError || error instanceof AuthenticationError;
      if (isRefused) this.#report(error);
      const { code } = toNativeError((error as Error).cause);
      return isRefused || error instanceof ConnectionError || code === nativeCode.timedOut;
    }
    return true;
  }

  async #lookAtTopic(partitions: readonly OwnedPartition[]): Promise<void> {
    if (!this.#raw.isUsable) return;
    // One that is read meanwhile is well, whatever the answers of a moment ago say.
    const before = partitions.map(({ next }) => next);
    const asked = partitions.map(({ topic, partition }) => ({ topic, partition }));
    const earliest = await resolveOffsets(this.#raw, asked, 'earliest');
    const latest = await resolveOffsets(this.#raw, asked, 'latest');
    // A position behind the last stable offset is fine as long as the log goes on to there.
    const isBehind = ({ next }: OwnedPartition, i: number): boolean => next > (latest[i]?.offset ?? next);
    const beyond = partitions.filter(isBehind).map(({ topic, partition }) => ({ topic, partition }));
    const ends = await resolveOffsets(this.#raw, beyond, 'high-watermark');
    for (const [i, owned] of partitions.entries()) {
      const start = earliest[i];
      const end = latest[i];
      if (start === undefined || end === undefined || owned.next !== before[i]) continue;
      const isOf = (other: TopicPartition): boolean =>
        other.topic === owned.topic && other.partition === owned.partition;
      await this.#compare(owned, {
        earliest: start.offset,
        latest: end.offset,
        end: ends.find(isOf)?.offset ?? end.offset,
      });
    }
  }

  async #compare(owned: OwnedPartition, log: Watermarks & { readonly end: number }): Promise<void> {
    if (!this.#raw.isUsable) return;
    const { earliest, latest, end } = log;
    const { topic, partition, next } = owned;
    const name = `${topic}/${partition}`;
    const isStillOurs = Array.from(this.#reader.owned).includes(owned) && !owned.isWithheld;
    if (!isStillOurs) return;
    if (!this.#isOpen(owned)) {
      if (latest <= (owned.end ?? latest)) return;
      // Its log has grown long ago, for all that is known, and nothing came.
      owned.end = undefined;
    }
    if (next >= earliest && next <= end) {
      if (this.#suspects.has(owned)) {
        await this.#restartSuspect(owned);
        return;
      }
      await this.#reader.lookForEnd({ topic, partition, offset: latest });
      await this.#restartStalled(owned, next, latest);
      return;
    }
    if (this.#reported.has(name)) return;
    this.#reported.add(name);
    this.#report(new OffsetOutOfRangeError({ topic, partition, offset: next }, { earliest, latest: end }));
  }

  /** In range, so the error has passed; whether it is the one that was stopped, reading it anew does no harm. */
  async #restartSuspect(owned: OwnedPartition): Promise<void> {
    if (!this.#reader.isDrained || owned.isPaused) return;
    this.#suspects.delete(owned);
    await this.#reader.restart(owned, this.#restart);
  }

  /**
   * librdkafka stops reading a partition at some errors for good, also where they pass (a follower that was behind, say), and says of a topic
   * that may not be read any more so only once. One that has more to read, and has not moved for two looks although everything that came was
   * taken, is read anew, and listened to. What came was taken when the queue has been empty; the queue of a worker with more to do than it can
   * never is, so there patience has its bound. It grows with each try: a partition that only waits behind others begins its wait anew.
   */
  async #restartStalled(owned: OwnedPartition, next: number, latest: number): Promise<void> {
    const hasMore = owned.end === undefined && owned.next === next && next < latest && !owned.isPaused;
    const stalled = this.#stalled.get(owned);
    const now = Date.now();
    if (!hasMore || owned.isWithheld) {
      this.#stalled.delete(owned);
    } else if (stalled?.next !== next) {
      this.#stalled.set(owned, { next, at: now, patienceMs: PATIENCE_MS });
    } else if (!this.#reader.hasTakenAllOf(owned)) {
      return;
    } else if (this.#reader.isDrySince(stalled.at)) {
      this.#stalled.delete(owned);
      await this.#reader.restart(owned, this.#restart);
      this.#reader.listenClosely(owned);
    } else if (now - stalled.at >= stalled.patienceMs) {
      this.#stalled.set(owned, { next, at: now, patienceMs: stalled.patienceMs * 2 });
      await this.#reader.restart(owned, this.#restart);
      this.#reader.listenClosely(owned, stalled.patienceMs);
    }
  }
}

function isSilent(owned: OwnedPartition, now: number): boolean {
  if (owned.end === undefined) return now - owned.lastHeardAt > owned.silenceMs;
  return now - Math.max(owned.lastHeardAt, owned.lookedAt) > IDLE_MS;
}
