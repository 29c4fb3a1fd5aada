import { closeSync, openSync, writeSync } from 'node:fs';
import type { BatchContext, KafkaRecord, Plugin } from '@kafka-worker/core';
import { UsageError } from '../../scripts/command-line.ts';
import type { FailAt } from './example-arguments.ts';

/** One call of a handler with one record: a line of the trace file. */
export interface HandlerCall {
  /** Milliseconds with fraction, on one clock for all calls. */
  readonly start: number;
  readonly end: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly attempt: number;
  readonly outcome: 'ok' | 'error';
  /** Of a batch handler: its records have a line each, with the number of the call that had them all. */
  readonly batch?: number;
}

type AnyRecord = KafkaRecord<unknown, unknown>;

/** A plugin that notes every handler call from outside, and makes the handler fail where it is told to. */
export class HandlerCalls implements Plugin {
  readonly name = 'handler-calls';
  readonly calls: HandlerCall[] = [];
  /** Earlier ones that are not among `calls` any more. */
  leftOut = 0;
  readonly #maxCalls: number;
  readonly #failAt: readonly FailAt[];
  /** By `partition:offset`. */
  readonly #places: ReadonlySet<string>;
  readonly #reached = new Set<string>();
  #batches = 0;
  #traceFile: number | undefined;

  /**
   * @param tracePath written line by line while the calls end, so that it tells the truth also after a crash
   * @param maxCalls of a run without an end: it keeps at least so many, the last ones, and at most twice as many
   * @throws UsageError when that file cannot be written
   */
  constructor(failAt: readonly FailAt[], tracePath: string | undefined, maxCalls: number = Number.POSITIVE_INFINITY) {
    this.#maxCalls = maxCalls;
    this.#failAt = failAt;
    this.#places = new Set(failAt.map(placeOf));
    this.#traceFile = tracePath === undefined ? undefined : openTrace(tracePath);
  }

  async aroundRecord(
    record: AnyRecord,
    { attempt }: { readonly attempt: number },
    next: () => Promise<void>,
  ): Promise<void> {
    const start = nowMs();
    try {
      if (this.#isToFail(record)) throw madeToFail();
      await next();
      this.#note(record, { attempt, start, end: nowMs(), outcome: 'ok' });
    } catch (error) {
      this.#note(record, { attempt, start, end: nowMs(), outcome: 'error' });
      throw error;
    }
  }

  /** A record that is told to fail fails alone, as a handler would have it. */
  async aroundBatch(
    records: readonly AnyRecord[],
    context: { readonly attempt: number },
    next: () => Promise<void>,
  ): Promise<void> {
    const { attempt } = context;
    const batch = this.#batches++;
    const failed = new Set<AnyRecord>();
    watchFail(context as BatchContext<AnyRecord>, failed);
    const start = nowMs();
    let hasThrown = true;
    try {
      for (const record of records)
        if (this.#isToFail(record)) (context as BatchContext<AnyRecord>).fail(record, madeToFail());
      await next();
      hasThrown = false;
    } finally {
      const end = nowMs();
      for (const record of records)
        this.#note(record, { attempt, start, end, outcome: hasThrown || failed.has(record) ? 'error' : 'ok', batch });
    }
  }

  /** Where the handler should have failed, and was never called. */
  get unreached(): readonly FailAt[] {
    return this.#failAt.filter((failAt) => !this.#reached.has(placeOf(failAt)));
  }

  close(): void {
    if (this.#traceFile !== undefined) closeSync(this.#traceFile);
    this.#traceFile = undefined;
  }

  #isToFail(record: AnyRecord): boolean {
    const place = placeOf(record);
    if (!this.#places.has(place)) return false;
    this.#reached.add(place);
    return true;
  }

  #note(record: AnyRecord, how: Omit<HandlerCall, 'topic' | 'partition' | 'offset' | 'key'>): void {
    const { start, end, ...outcome } = how;
    const { topic, partition, offset } = record;
    const call: HandlerCall = { start, end, topic, partition, offset, key: keyText(record.key), ...outcome };
    this.calls.push(call);
    if (this.calls.length >= 2 * this.#maxCalls) this.leftOut += this.calls.splice(0, this.#maxCalls).length;
    if (this.#traceFile !== undefined) writeSync(this.#traceFile, `${JSON.stringify(call)}\n`);
  }
}

function madeToFail(): Error {
  return new Error('made to fail by --fail');
}

/** Which records a call fails by itself is only told to its context. */
function watchFail(context: BatchContext<AnyRecord>, failed: Set<AnyRecord>): void {
  const { fail } = context;
  Object.defineProperty(context, 'fail', {
    value: (record: AnyRecord, error: unknown) => {
      fail(record, error);
      failed.add(record);
    },
  });
}

function placeOf({ partition, offset }: FailAt): string {
  return `${partition}:${offset}`;
}

function openTrace(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new UsageError(`--trace: expected a file that can be written: ${(error as Error).message}.`);
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function keyText(key: unknown): string | null {
  if (key === null || key === undefined) return null;
  return typeof key === 'string' || Buffer.isBuffer(key) ? key.toString() : JSON.stringify(key);
}
