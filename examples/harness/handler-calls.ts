import { closeSync, openSync, writeSync } from 'node:fs';
import type { KafkaRecord, Plugin } from '@kafka-worker/core';
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
}

/** A plugin that notes every handler call from outside, and makes the handler fail where it is told to. */
export class HandlerCalls implements Plugin {
  readonly name = 'handler-calls';
  readonly calls: HandlerCall[] = [];
  readonly #failAt: readonly FailAt[];
  /** By `partition:offset`. */
  readonly #places: ReadonlySet<string>;
  readonly #reached = new Set<string>();
  #traceFile: number | undefined;

  /**
   * @param tracePath written line by line while the calls end, so that it tells the truth also after a crash
   * @throws UsageError when that file cannot be written
   */
  constructor(failAt: readonly FailAt[], tracePath: string | undefined) {
    this.#failAt = failAt;
    this.#places = new Set(failAt.map(placeOf));
    this.#traceFile = tracePath === undefined ? undefined : openTrace(tracePath);
  }

  async aroundRecord(
    record: KafkaRecord<unknown, unknown>,
    context: { readonly attempt: number },
    next: () => Promise<void>,
  ): Promise<void> {
    const { attempt } = context;
    const start = nowMs();
    try {
      this.#failWhereTold(placeOf(record));
      await next();
      this.#note(record, attempt, start, 'ok');
    } catch (error) {
      this.#note(record, attempt, start, 'error');
      throw error;
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

  #failWhereTold(place: string): void {
    if (!this.#places.has(place)) return;
    this.#reached.add(place);
    throw new Error('made to fail by --fail');
  }

  #note(record: KafkaRecord<unknown, unknown>, attempt: number, start: number, outcome: 'ok' | 'error'): void {
    const { topic, partition, offset } = record;
    const call = { start, end: nowMs(), topic, partition, offset, key: keyText(record.key), attempt, outcome };
    this.calls.push(call);
    if (this.#traceFile !== undefined) writeSync(this.#traceFile, `${JSON.stringify(call)}\n`);
  }
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
