import type { ClientStatistics } from '../client-statistics.ts';
import type { StartOffset, Watermarks } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import type { DirectLibrary } from './direct/direct-library.ts';
import type { DirectOptions } from './direct/direct-options.ts';
import { DirectPartition } from './direct/direct-partition.ts';
import type { DirectRecord } from './direct/direct-record.ts';
import { Fetcher, type FetcherParts } from './direct/fetcher.ts';
import { MalformedBytes } from './direct/malformed-bytes.ts';
import type { PartitionReader } from './record-reader.ts';

/** So many records of a partition at least are taken in one go, if it has them. */
const LEAST_SHARE = 32;

/**
 * Once so many bytes were unpacked, what is taken at once ends in front of the next packed batch: unpacking holds the event loop, and what small batches
 * are unpacked to is known, and counted, only afterwards.
 */
const UNPACKED_BYTES = 256 * 1024;

/** What the reader tells its consumer. */
export interface DirectReaderEvents extends Pick<FetcherParts, 'rangeOf' | 'leave'> {
  /** There may be something new to take. */
  changed(): void;
  /** Reading failed; no record is lost by it. */
  report(error: KafkaWorkerError): void;
}

/**
 * The data side without librdkafka: records straight from the partition leaders, made from the responses' bytes as they are taken.
 * A partition that is paused here is not asked for; what was fetched of it before waits.
 */
export class DirectReader implements PartitionReader {
  readonly #fetcher: Fetcher;
  readonly #partitions = new Map<string, DirectPartition>();
  /** The same in a row. */
  #row: DirectPartition[] = [];
  #turns = 0;
  /** Where the next taking begins: behind the partition that was served last, or at the first that was held, so that all are served alike however little is taken. */
  #first = 0;

  constructor(library: DirectLibrary, options: DirectOptions, events: DirectReaderEvents) {
    this.#fetcher = new Fetcher({
      ...{ library, options, rangeOf: events.rangeOf, leave: events.leave },
      report: (error) => events.report(error),
      changed: () => events.changed(),
      partitions: () => this.#rotated(),
    });
  }

  get owned(): Iterable<DirectPartition> {
    return this.#row;
  }

  /** Whether there is anything to take. */
  get hasRecords(): boolean {
    return this.#row.some((owned) => owned.isOpen && owned.hasRecords);
  }

  /** Whether it is this very one that is read here now, and not another assignment of the same partition. */
  reads(owned: DirectPartition): boolean {
    return this.#partitions.get(nameOf(owned)) === owned && !owned.isWithheld;
  }

  /** Those of a list that are read here. */
  among(partitions: readonly TopicPartition[]): DirectPartition[] {
    return partitions
      .map((partition) => this.#partitions.get(nameOf(partition)))
      .filter((owned) => owned !== undefined);
  }

  stop(): void {
    this.#fetcher.stop();
  }

  take(max: number): { records: DirectRecord[]; positions: NextOffset[] } {
    const records: DirectRecord[] = [];
    const positions: NextOffset[] = [];
    const row = rotated(this.#row, this.#first);
    let last: DirectPartition | undefined;
    const full = row.filter((owned) => owned.isOpen && owned.hasRecords);
    // All take their turns in what is taken at once, so that no handler of a partition waits for all records of another one.
    const share = Math.max(LEAST_SHARE, Math.ceil(max / Math.max(1, full.length)));
    let unpackable = UNPACKED_BYTES;
    let held: DirectPartition | undefined;
    for (let left = full; left.length > 0 && records.length < max; ) {
      const more: DirectPartition[] = [];
      for (const owned of left) {
        if (records.length >= max) break;
        const before = records.length;
        unpackable -= this.#takeOf(owned, Math.min(share, max - before), records, unpackable);
        if (records.length > before) {
          last = owned;
          if (owned.hasRecords) more.push(owned);
        } else if (owned.hasRecords) {
          held ??= owned;
        }
      }
      left = more;
    }
    for (const owned of row) {
      if (!owned.isOpen) continue;
      const offset = owned.takePosition();
      if (offset !== undefined) positions.push(positionOf(owned, offset));
    }
    // One that could not be unpacked any more is the first the next time: it would wait for ever for those that always come before it.
    if (held !== undefined) this.#first += row.indexOf(held);
    else if (last !== undefined) this.#first += row.indexOf(last) + 1;
    if (records.length > 0) this.#fetcher.room();
    return { records, positions };
  }

  own(starts: readonly StartOffset[]): void {
    for (const { topic, partition, offset, leaderEpoch } of starts)
      this.#partitions.set(nameOf({ topic, partition }), new DirectPartition(topic, partition, offset, leaderEpoch));
    this.#row = [...this.#partitions.values()];
    this.#fetcher.turn();
  }

  withhold(partitions: readonly TopicPartition[]): void {
    for (const owned of this.among(partitions)) owned.withhold();
    this.#fetcher.room();
  }

  disown(partitions: readonly TopicPartition[]): void {
    this.withhold(partitions);
    for (const partition of partitions) this.#partitions.delete(nameOf(partition));
    this.#row = [...this.#partitions.values()];
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const owned of this.among(partitions)) owned.isPaused = true;
    // What waits of them stands in nobody's way any more.
    this.#fetcher.room();
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const owned of this.among(partitions)) {
      owned.isPaused = false;
      // Nobody has asked for it meanwhile.
      owned.silence = undefined;
    }
    this.#fetcher.turn();
  }

  seek(starts: readonly StartOffset[]): void {
    for (const { topic, partition, offset, leaderEpoch } of starts)
      for (const owned of this.among([{ topic, partition }])) owned.moveTo(offset, leaderEpoch);
    this.#fetcher.turn();
  }

  /** The end is that of what may be read once reading has come to it, and before that the end of all there is. */
  watermarks(partition: TopicPartition): Watermarks | undefined {
    const owned = this.#partitions.get(nameOf(partition));
    if (owned?.ends === undefined) return undefined;
    return { earliest: owned.ends.logStart, latest: owned.end ?? owned.ends.highWatermark };
  }

  statistics(librdkafka: ClientStatistics): ClientStatistics {
    const sum = (of: (owned: DirectPartition) => number): number =>
      this.#row.reduce((total, owned) => total + of(owned), 0);
    return {
      ...librdkafka,
      queuedRecords: librdkafka.queuedRecords + sum(({ records }) => records),
      queuedBytes: librdkafka.queuedBytes + sum(({ bytes }) => bytes),
      receivedBytes: librdkafka.receivedBytes + this.#fetcher.receivedBytes,
    };
  }

  /** How many bytes were unpacked for it. */
  #takeOf(owned: DirectPartition, max: number, into: DirectRecord[], unpackable: number): number {
    try {
      return owned.take(max, into, unpackable);
    } catch (error) {
      const batch = owned.firstBatch;
      if (!(error instanceof MalformedBytes) || batch === undefined) throw error;
      this.#fetcher.answers.unreadable(owned, batch, error);
      return batch.unpackedBytes;
    }
  }

  /** All of them, beginning with another one each time. */
  #rotated(): DirectPartition[] {
    return rotated(this.#row, this.#turns++);
  }
}

/** All of a row, beginning with another one. */
function rotated<T>(row: readonly T[], by: number): T[] {
  const start = row.length === 0 ? 0 : by % row.length;
  return [...row.slice(start), ...row.slice(0, start)];
}

function positionOf({ topic, partition, lastEpoch }: DirectPartition, offset: number): NextOffset {
  return { topic, partition, offset, ...(lastEpoch < 0 ? {} : { leaderEpoch: lastEpoch }) };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
