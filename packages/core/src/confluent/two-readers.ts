import type { ClientStatistics } from '../client-statistics.ts';
import type { StartOffset, Watermarks } from '../kafka-client.ts';
import type { Logger } from '../logger.ts';
import type { NextOffset, ReceivedRecord, TopicPartition } from '../record.ts';
import type { DirectLibrary } from './direct/direct-library.ts';
import type { DirectOptions } from './direct/direct-options.ts';
import { DirectReader, type DirectReaderEvents } from './direct-reader.ts';
import type { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { NativeConsumer } from './native-client.ts';
import { PartitionMoves } from './partition-move.ts';
import type { MoveNatively, RecordReader } from './record-reader.ts';

/** What both of them work with. */
export interface TwoReadersParts extends Omit<DirectReaderEvents, 'leave'> {
  readonly native: NativeConsumer;
  readonly librdkafka: LibrdkafkaReader;
  readonly library: DirectLibrary;
  readonly options: DirectOptions;
  readonly moveNatively: MoveNatively;
  readonly logger: Logger;
}

/**
 * The direct reader, and behind it librdkafka's for what that one cannot read. Every partition begins with the direct one. librdkafka, the group's
 * member, is assigned it too, and is paused on it at once; its queue is turned by its own reader, which drops what it does not own. A partition that
 * the direct reader leaves is resumed there, and stays until it is taken away.
 */
export class TwoReaders implements RecordReader {
  readonly #native: NativeConsumer;
  readonly #direct: DirectReader;
  readonly #librdkafka: LibrdkafkaReader;
  readonly #moves: PartitionMoves;
  #isOdd = false;

  constructor({ native, librdkafka, library, options, moveNatively, logger, ...events }: TwoReadersParts) {
    this.#native = native;
    this.#librdkafka = librdkafka;
    this.#direct = new DirectReader(library, options, {
      ...events,
      leave: (owned, why) => this.#moves.begin(owned, why),
    });
    this.#moves = new PartitionMoves({ direct: this.#direct, librdkafka, moveNatively, logger });
  }

  get owned(): RecordReader['owned'] {
    return [...this.#direct.owned, ...this.#librdkafka.owned];
  }

  start(): void {
    this.#librdkafka.start();
  }

  stop(): Promise<boolean> {
    this.#moves.stop();
    this.#direct.stop();
    return this.#librdkafka.stop();
  }

  signal(): void {
    this.#librdkafka.signal();
  }

  hurry(): void {
    this.#librdkafka.hurry();
  }

  /** Half of what is taken may be librdkafka's, so that neither waits for all of the other. */
  take(max: number): { records: readonly ReceivedRecord[]; positions: readonly NextOffset[] } {
    this.#isOdd = !this.#isOdd;
    const half = this.#isOdd ? Math.floor(max / 2) : Math.ceil(max / 2);
    const moved = this.#librdkafka.take(this.#direct.hasRecords ? half : max);
    const { records, positions } = this.#direct.take(max - moved.records.length);
    if (moved.records.length === 0 && moved.positions.length === 0) return { records, positions };
    return { records: [...moved.records, ...records], positions: [...moved.positions, ...positions] };
  }

  own(starts: readonly StartOffset[]): void {
    this.#direct.own(starts);
  }

  started(partitions: readonly TopicPartition[]): void {
    this.#native.pause(partitions.map(({ topic, partition }) => ({ topic, partition })));
  }

  withhold(partitions: readonly TopicPartition[]): void {
    this.#direct.withhold(partitions);
    this.#librdkafka.withhold(partitions);
  }

  disown(partitions: readonly TopicPartition[]): void {
    this.#direct.disown(partitions);
    this.#librdkafka.disown(partitions);
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#direct.pause(partitions);
    this.#librdkafka.pause(partitions);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#direct.resume(partitions);
    this.#librdkafka.resume(partitions);
  }

  async seek(starts: readonly StartOffset[], move: MoveNatively): Promise<void> {
    const here = new Set(this.#direct.among(starts).map(({ topic, partition }) => `${topic}/${partition}`));
    const isHere = ({ topic, partition }: TopicPartition): boolean => here.has(`${topic}/${partition}`);
    this.#direct.seek(starts.filter(isHere));
    const there = starts.filter((start) => !isHere(start));
    if (there.length > 0) await this.#librdkafka.seek(there, move);
  }

  watermarks(partition: TopicPartition): Watermarks | undefined {
    const isHere = this.#direct.among([partition]).length > 0;
    return isHere ? this.#direct.watermarks(partition) : this.#librdkafka.watermarks(partition);
  }

  statistics(librdkafka: ClientStatistics): ClientStatistics {
    return this.#direct.statistics(librdkafka);
  }
}
