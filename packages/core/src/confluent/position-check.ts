import { type KafkaWorkerError, OffsetOutOfRangeError } from '../errors.ts';
import type { TopicPartition } from '../record.ts';
import type { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { NativeConsumer } from './native-client.ts';
import { resolveOffsets } from './offset-queries.ts';
import type { OwnedPartition } from './owned-partitions.ts';
import type { RawClient } from './raw-client.ts';

const LOOK_EVERY_MS = 2_500;
const LONGEST_SILENCE_MS = 60_000;

/**
 * Finds partitions whose position is outside their log. librdkafka stops reading such a partition with an error that names neither
 * topic nor partition, and the native client drops the error (and end-of-partition events with it) when records came in the same turn.
 * So partitions that are silent without being at their end are looked at, rarely, and all of them after any error.
 */
export class PositionCheck {
  readonly #raw: RawClient<NativeConsumer>;
  readonly #reader: LibrdkafkaReader;
  readonly #report: (error: KafkaWorkerError) => void;
  readonly #reported = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;
  #isWanted = false;

  constructor(raw: RawClient<NativeConsumer>, reader: LibrdkafkaReader, report: (error: KafkaWorkerError) => void) {
    this.#raw = raw;
    this.#reader = reader;
    this.#report = report;
    this.#timer = setInterval(() => this.#lookAtSilent(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** These were given a new position. */
  forget(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#reported.delete(`${topic}/${partition}`);
  }

  lookAtAll(): void {
    if (this.#isLooking) {
      this.#isWanted = true;
      return;
    }
    void this.#look(Array.from(this.#reader.owned).filter((owned) => owned.end === undefined && !owned.isWithheld));
  }

  #lookAtSilent(): void {
    if (this.#isLooking) return;
    const now = Date.now();
    const silent = Array.from(this.#reader.owned).filter(
      (owned) =>
        owned.end === undefined && !owned.isWithheld && !owned.isPaused && now - owned.lastHeardAt > owned.silenceMs,
    );
    for (const owned of silent) owned.silenceMs = Math.min(owned.silenceMs * 2, LONGEST_SILENCE_MS);
    if (silent.length > 0) void this.#look(silent);
  }

  async #look(partitions: readonly OwnedPartition[]): Promise<void> {
    if (partitions.length === 0 || !this.#raw.isUsable) return;
    this.#isLooking = true;
    try {
      const asked = partitions.map(({ topic, partition }) => ({ topic, partition }));
      const earliest = await resolveOffsets(this.#raw, asked, 'earliest');
      const latest = await resolveOffsets(this.#raw, asked, 'latest');
      partitions.forEach((owned, i) => {
        const start = earliest[i];
        const end = latest[i];
        if (start !== undefined && end !== undefined) this.#compare(owned, start.offset, end.offset);
      });
    } catch {
      // Brokers that cannot answer now are reported by what they cannot do for the reader.
    } finally {
      this.#isLooking = false;
    }
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.lookAtAll();
  }

  #compare(owned: OwnedPartition, earliest: number, latest: number): void {
    if (!this.#raw.isUsable) return;
    const { topic, partition, next } = owned;
    const name = `${topic}/${partition}`;
    const isStillOurs = Array.from(this.#reader.owned).includes(owned) && !owned.isWithheld;
    if (!isStillOurs || owned.end !== undefined) return;
    if (next >= earliest && next <= latest) return void this.#reader.lookForEnd({ topic, partition, offset: latest });
    if (this.#reported.has(name)) return;
    this.#reported.add(name);
    this.#report(new OffsetOutOfRangeError({ topic, partition, offset: next }, { earliest, latest }));
  }
}
