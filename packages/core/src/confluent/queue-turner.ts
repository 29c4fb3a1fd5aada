import { settledWithin } from './bounded.ts';
import type { RawMessage } from './confluent-record.ts';
import type { NativeConsumer } from './native-client.ts';

/** Without any signal the queue is looked at this often: keeps the membership alive, and helps if a signal is ever missed. */
const FALLBACK_MS = 250;

/** While nothing is wanted, single records are let through this often, for the events behind them. */
const STALL_MS = 100;

/** After an error: it may come again at once. */
const ERROR_MS = 20;

const STOP_MS = 5_000;

/** What the queue's records are for. */
export interface QueueReader {
  /** How many records the next turn may bring; undefined for as few as possible. */
  want(): number | undefined;
  /** Returns how much of anything the turn has brought. */
  received(messages: readonly RawMessage[]): number;
  failed(error: unknown): void;
}

/**
 * Turns librdkafka's queue: exactly one consume() at a time, each ending at once with what is there. All that librdkafka has to tell
 * (records, acknowledgements, assignments, errors, statistics) comes through this queue and only while it is turned.
 */
export class QueueTurner {
  readonly #native: NativeConsumer;
  readonly #reader: QueueReader;
  #isRunning = false;
  #isTurning = false;
  /** Nothing was wanted when it was last asked. */
  #isStalled = false;
  #holds = 0;
  /** Set by librdkafka when the queue stops being empty; it may come between a turn's end and our looking, so it stays until the next turn. */
  #isSignalled = false;
  #timer: NodeJS.Timeout | undefined;
  #hurryMs = STALL_MS;
  readonly #idle: (() => void)[] = [];

  constructor(native: NativeConsumer, reader: QueueReader) {
    this.#native = native;
    this.#reader = reader;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  start(): void {
    this.#native.setDefaultConsumeTimeout(0);
    this.#isRunning = true;
    this.#turn();
  }

  async stop(): Promise<boolean> {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    return settledWithin(this.idle(), STOP_MS);
  }

  signal(): void {
    this.#isSignalled = true;
    if (!this.#isTurning) this.#turn();
  }

  /** There is room again. */
  room(): void {
    if (!this.#isTurning && this.#isStalled) this.#turn();
  }

  hurry(): void {
    this.#hurryMs = 1;
    if (!this.#isTurning) this.#turn();
  }

  /** No turn begins until the returned function is called. */
  hold(): () => void {
    this.#holds++;
    clearTimeout(this.#timer);
    return () => {
      this.#holds--;
      if (!this.#isTurning) this.#turn();
    };
  }

  /** Resolves when no turn is under way. */
  idle(): Promise<void> {
    if (!this.#isTurning) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #turn(): void {
    if (!this.#isRunning || this.#isTurning || this.#holds > 0) return;
    clearTimeout(this.#timer);
    const wanted = this.#reader.want();
    this.#isStalled = wanted === undefined;
    this.#isTurning = true;
    this.#isSignalled = false;
    this.#native.consume(wanted ?? 1, this.#turned);
  }

  readonly #turned = (error: unknown, messages: RawMessage[] | undefined): void => {
    this.#isTurning = false;
    let brought = 0;
    const isFailed = error !== null && error !== undefined;
    if (isFailed) this.#reader.failed(error);
    else brought = this.#reader.received(messages ?? []);
    for (const resolve of this.#idle.splice(0)) resolve();
    this.#next(isFailed, brought);
  };

  #next(isFailed: boolean, brought: number): void {
    if (!this.#isRunning || this.#isTurning || this.#holds > 0) return;
    if (isFailed) {
      this.#after(ERROR_MS);
      return;
    }
    if (this.#reader.want() === undefined) {
      this.#isStalled = true;
      // An acknowledgement that is waited for comes within milliseconds; only then is it worth looking this often.
      const waitMs = Math.min(this.#hurryMs, STALL_MS);
      this.#hurryMs = Math.min(this.#hurryMs * 2, STALL_MS);
      this.#after(this.#isSignalled ? 1 : waitMs);
      return;
    }
    // One more turn after each that brought something: an error that came behind records ended it early.
    if (brought > 0 || this.#isSignalled) this.#turn();
    else this.#after(FALLBACK_MS);
  }

  #after(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#turn(), ms);
  }
}
