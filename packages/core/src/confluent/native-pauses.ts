import type { TopicPartition } from '../record.ts';
import type { NativeConsumer } from './native-client.ts';
import type { OwnedPartition, OwnedPartitions } from './owned-partitions.ts';

/** When what came while nothing was wanted reaches this, librdkafka is paused as a whole: then nothing comes but events. */
const OVERFLOW_RECORDS = 50;
const OVERFLOW_BYTES = 4 * 1024 * 1024;

/**
 * What librdkafka itself does not fetch: single partitions that bring too much although they are paused, and everything when too much comes
 * although nothing is wanted. Pausing is dear: what was fetched is thrown away, and resuming does not wake librdkafka's thread for the broker. Where nothing
 * else of that broker is fetched it sleeps for up to a second, and where the rest has nothing new it waits for the request under way (`fetch.wait.max.ms`).
 */
export class NativePauses {
  readonly #native: NativeConsumer;
  readonly #owned: OwnedPartitions;
  #overflow = 0;
  #overflowBytes = 0;
  #isStalled = false;

  constructor(native: NativeConsumer, owned: OwnedPartitions) {
    this.#native = native;
    this.#owned = owned;
  }

  /** Whether everything is paused. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** After librdkafka has taken them: a mark of an earlier pause may still be on them. */
  started(partitions: readonly TopicPartition[]): void {
    if (this.#isStalled) this.#native.pause([...partitions]);
    else this.#native.resume([...partitions]);
  }

  pause(owned: OwnedPartition): void {
    if (owned.isPausedNatively) return;
    owned.isPausedNatively = true;
    this.#native.pause(listOf([owned]));
  }

  /** Those of these that were paused. */
  resume(partitions: readonly OwnedPartition[]): void {
    const paused = partitions.filter((owned) => owned.isPausedNatively);
    for (const owned of paused) owned.isPausedNatively = false;
    // While everything is paused they come back with everything.
    if (!this.#isStalled) this.#resume(paused);
  }

  /** librdkafka keeps the mark for the next time that the partition is assigned. */
  unmark(partitions: readonly OwnedPartition[]): void {
    this.#resume(partitions.filter((owned) => owned.isPausedNatively));
  }

  /** So much came while nothing was wanted. */
  overflow(records: number, bytes: number): void {
    this.#overflow += records;
    this.#overflowBytes += bytes;
    if (this.#isStalled || (this.#overflow < OVERFLOW_RECORDS && this.#overflowBytes < OVERFLOW_BYTES)) return;
    this.#isStalled = true;
    this.#native.pause(listOf(this.#fetching()));
  }

  /** Something is wanted again. */
  forgetOverflow(): void {
    this.#overflow = 0;
    this.#overflowBytes = 0;
  }

  /** So much is wanted that reading goes on. */
  endStall(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    this.#resume(this.#fetching());
  }

  #resume(partitions: readonly OwnedPartition[]): void {
    if (partitions.length > 0) this.#native.resume(listOf(partitions));
  }

  #fetching(): OwnedPartition[] {
    return Array.from(this.#owned).filter((owned) => !owned.isPausedNatively);
  }
}

function listOf(partitions: readonly OwnedPartition[]): TopicPartition[] {
  return partitions.map(({ topic, partition }) => ({ topic, partition }));
}
