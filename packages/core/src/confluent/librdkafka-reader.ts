import type { ClientStatistics } from '../client-statistics.ts';
import type { StartOffset, Watermarks } from '../kafka-client.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import { settledWithin } from './bounded.ts';
import { ChunkSize } from './chunk-size.ts';
import { CloseListening } from './close-listening.ts';
import type { ConfluentRecord, RawMessage } from './confluent-record.ts';
import type { NativeConsumer } from './native-client.ts';
import { NativePauses } from './native-pauses.ts';
import { type OwnedPartition, OwnedPartitions } from './owned-partitions.ts';
import { QueueTurner } from './queue-turner.ts';
import { RecordBuffer } from './record-buffer.ts';
import type { MoveNatively, RecordReader } from './record-reader.ts';
import { sortRecords } from './record-sorting.ts';

/** The buffer decouples reading from polling; more of it would only be more to discard. */
const BUFFER_RECORDS = 2_000;
const BUFFER_BYTES = 8 * 1024 * 1024;

const HOLD_MS = 5_000;

/** What the reader tells its consumer. */
export interface ReaderEvents {
  /** There may be something new to take. */
  changed(): void;
  /** Reading failed; no record is lost by it. `suspect` is the partition that was listened to, if one was. */
  failed(error: unknown, suspect?: OwnedPartition): void;
}

/**
 * The data side: records out of librdkafka's own queue, through a small buffer. A full buffer lets the queue be: librdkafka then stops
 * fetching by itself, and what must not wait overtakes the records in it (acknowledgements and statistics by their priority; an
 * assignment event because librdkafka discards the prefetched records first). So a full buffer only slows turning down to single
 * records, and if even those pile up everything is paused natively.
 */
export class LibrdkafkaReader implements RecordReader {
  readonly #native: NativeConsumer;
  readonly #events: ReaderEvents;
  readonly #turner: QueueTurner;
  readonly #owned = new OwnedPartitions();
  readonly #buffer = new RecordBuffer();
  #ends: NextOffset[] = [];
  readonly #chunk = new ChunkSize();
  #asked = Number.POSITIVE_INFINITY;
  readonly #pauses: NativePauses;
  #seeks = 0;
  /** When librdkafka's queue was last found empty. */
  #dryAt = 0;
  readonly #listening = new CloseListening();

  readonly #isReadCommitted: boolean;

  constructor(native: NativeConsumer, events: ReaderEvents, isReadCommitted = true) {
    this.#native = native;
    this.#isReadCommitted = isReadCommitted;
    this.#events = events;
    this.#pauses = new NativePauses(native, this.#owned);
    native.on('partition.eof', (end: NextOffset) => void this.#ends.push(end));
    this.#turner = new QueueTurner(native, {
      want: () =>
        this.#hasRoom() ? (this.#listening.isOn ? 1 : Math.min(this.#chunk.records, this.#asked)) : undefined,
      received: (messages) => this.#receive(messages),
      failed: (error) => {
        this.#ends = [];
        events.failed(error, this.#listening.end());
      },
    });
  }

  /** How much a poll wants is also how much is read at once: whoever asks for little has other things to do in between. */
  set asked(records: number) {
    if (records > 0) this.#asked = records;
  }

  /** Whether everything that came was taken, so that only librdkafka can keep more from coming. */
  get isDrained(): boolean {
    return this.#buffer.records === 0 && !this.#pauses.isStalled;
  }

  /** Whether all that came of this partition was taken. */
  hasTakenAllOf(owned: OwnedPartition): boolean {
    return !this.#pauses.isStalled && !this.#buffer.holds(owned);
  }

  /** Whether librdkafka's queue has been empty since then: what lay in it was read. */
  isDrySince(time: number): boolean {
    return this.#dryAt > time;
  }

  /** Until this partition has said something, no error is lost behind records. */
  listenClosely(owned: OwnedPartition, ms?: number): void {
    this.#listening.begin(owned, ms);
  }

  get owned(): Iterable<OwnedPartition> {
    return this.#owned;
  }

  watermarks({ topic, partition }: TopicPartition): Watermarks | undefined {
    try {
      const { lowOffset, highOffset } = this.#native.getWatermarkOffsets(topic, partition);
      // Negative ones stand for "not heard yet".
      if (lowOffset < 0 || highOffset < 0) return undefined;
      // Unknown while what librdkafka has fetched waits for room.
      const isKnown = this.#isReadCommitted && this.#hasRoom();
      const stableEnd = isKnown ? this.#owned.get(topic, partition)?.end : undefined;
      return { earliest: lowOffset, latest: stableEnd ?? highOffset };
    } catch {
      return undefined;
    }
  }

  /** All that is read goes through librdkafka. */
  statistics(librdkafka: ClientStatistics): ClientStatistics {
    return librdkafka;
  }

  start(): void {
    this.#turner.start();
  }

  /** Turns no more; resolves when the turn under way has ended, within a bound. */
  stop(): Promise<boolean> {
    return this.#turner.stop();
  }

  /** librdkafka's queue is no longer empty. */
  signal(): void {
    this.#turner.signal();
  }

  /** Something waits for an answer that comes through the queue: look soon, even if the buffer is full. */
  hurry(): void {
    this.#turner.hurry();
  }

  /** At most `max` records, and the positions that hold with them. */
  take(max: number): { records: ConfluentRecord[]; positions: NextOffset[] } {
    const taken = this.#buffer.take(max);
    if (taken.records.length > 0) this.#drained();
    return taken;
  }

  /** Before librdkafka starts on them: their records may come at once. */
  own(starts: readonly StartOffset[]): void {
    for (const { topic, partition, offset } of starts) this.#owned.add(topic, partition, offset);
  }

  /** After librdkafka has taken them. */
  started(partitions: readonly TopicPartition[]): void {
    this.#pauses.started(partitions);
  }

  /** Nothing of these is handed out from now on. */
  withhold(partitions: readonly TopicPartition[]): void {
    for (const owned of this.#owned.among(partitions)) {
      owned.withhold();
      this.#buffer.remove(owned);
    }
    this.#drained();
  }

  disown(partitions: readonly TopicPartition[]): void {
    this.withhold(partitions);
    this.#pauses.unmark(this.#owned.among(partitions));
    for (const partition of partitions) this.#owned.delete(partition);
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const owned of this.#owned.among(partitions)) {
      if (!owned.isPaused) owned.pause(this.#buffer.remove(owned));
    }
    this.#drained();
  }

  resume(partitions: readonly TopicPartition[]): void {
    const paused = this.#owned.among(partitions).filter((owned) => owned.isPaused);
    for (const owned of paused) {
      const { records, bytes, positions } = owned.resume();
      this.#buffer.unshift(records, bytes, positions);
    }
    this.#pauses.resume(paused);
    this.#events.changed();
  }

  /** Runs while nothing is being read: `move` puts librdkafka's positions elsewhere. */
  seek(starts: readonly StartOffset[], move: MoveNatively): Promise<void> {
    return this.atRest(async () => {
      for (const start of starts) {
        const owned = this.#owned.get(start.topic, start.partition);
        if (owned === undefined) continue;
        this.#buffer.remove(owned);
        owned.moveTo(start.offset);
      }
      await move(starts);
    });
  }

  /** Has a partition read anew from where it stands. One that brings something meanwhile, or is paused, is left alone. */
  restart(owned: OwnedPartition, run: (start: StartOffset) => void): Promise<void> {
    const { topic, partition, next } = owned;
    return this.atRest(() => {
      const isWell = owned.next !== next || owned.isPaused || this.#buffer.holds(owned);
      if (isWell || this.#owned.get(topic, partition) !== owned) return;
      owned.moveTo(next);
      run({ topic, partition, offset: next });
    });
  }

  /** Runs while nothing is being read, so that positions can change; `isIdle` is false where a read under way does not end. */
  async atRest(change: (isIdle: boolean) => Promise<void> | void): Promise<void> {
    const release = this.#turner.hold();
    this.#seeks++;
    try {
      await change(await settledWithin(this.#turner.idle(), HOLD_MS));
    } finally {
      this.#seeks--;
      release();
      this.#drained();
    }
  }

  /**
   * Whether a partition stands at this end, though no event said so: behind control records only librdkafka's own position tells.
   * That one runs ahead of us while a turn is under way.
   */
  async lookForEnd(end: NextOffset): Promise<void> {
    const { topic, partition, offset } = end;
    const release = this.#turner.hold();
    try {
      const isIdle = await settledWithin(this.#turner.idle(), HOLD_MS);
      const owned = this.#owned.get(topic, partition);
      if (!isIdle || !this.#turner.isRunning || owned === undefined || owned.end !== undefined) return;
      // In the middle of a seek librdkafka's position is still the old one.
      if (this.#seeks > 0) return;
      const [position] = this.#native.position([{ topic, partition }]) as { offset?: number }[];
      if (owned.next !== offset && position?.offset !== offset) return;
      this.#end(end, []);
      this.#events.changed();
    } catch {
      // No longer assigned: then its end is of no interest.
    } finally {
      release();
    }
  }

  #hasRoom(): boolean {
    return this.#buffer.records < BUFFER_RECORDS && this.#buffer.bytes < BUFFER_BYTES;
  }

  #receive(messages: readonly RawMessage[]): number {
    const ends = this.#ends;
    this.#ends = [];
    if (messages.length === 0 && ends.length === 0) this.#dryAt = Date.now();
    const { records, bytes, largest } = sortRecords(messages, this.#owned, {
      tooMuch: (owned) => this.#pauses.pause(owned),
      unreadable: (error) => this.#events.failed(error),
    });
    if (messages.length > 0) this.#chunk.adapt(largest);
    const wasFull = !this.#hasRoom();
    this.#buffer.push(records, bytes);
    for (const end of ends) this.#end(end, messages);
    if (wasFull) this.#pauses.overflow(records.length, bytes);
    if (records.length > 0 || ends.length > 0) this.#events.changed();
    return messages.length + ends.length;
  }

  #end(end: NextOffset, messages: readonly RawMessage[]): void {
    const { topic, partition, offset } = end;
    const owned = this.#owned.get(topic, partition);
    if (owned === undefined || owned.isWithheld) return;
    owned.heard();
    // Records from behind that end came in the same turn: the position is no longer where reading stands.
    if (owned.next > offset && messages.length > 0) return;
    owned.next = Math.max(owned.next, offset);
    owned.end = offset;
    if (owned.isPaused) owned.setPositionAside({ topic, partition, offset });
    else this.#buffer.push([], 0, [{ topic, partition, offset }]);
  }

  #drained(): void {
    if (this.#buffer.records <= BUFFER_RECORDS / 2 && this.#buffer.bytes <= BUFFER_BYTES / 2) this.#pauses.endStall();
    if (!this.#hasRoom()) return;
    this.#pauses.forgetOverflow();
    this.#turner.room();
  }
}
