import { describe, expect, it } from '@jest/globals';
import { CallContext } from './call-context.ts';
import { HandlerCall } from './handler-call.ts';
import type { Logger } from './logger.ts';
import { OwnedPartition } from './owned-partition.ts';
import { noHeaders, OwnedRecord } from './record.ts';
import { recordLogger } from './record-logger.ts';

/** A logger that relies on being called as an object, and what it wrote. */
function memoryLogger() {
  const lines: unknown[] = [];
  class MemoryLogger implements Logger {
    readonly #lines = lines;
    debug(message: string, fields?: object): void {
      this.#lines.push(['debug', message, fields]);
    }
    info(message: string, fields?: object): void {
      this.#lines.push(['info', message, fields]);
    }
    warn(message: string, fields?: object): void {
      this.#lines.push(['warn', message, fields]);
    }
    error(message: string, fields?: object): void {
      this.#lines.push(['error', message, fields]);
    }
  }
  return { logger: new MemoryLogger(), lines };
}

const record = new OwnedRecord('t', 3, 7, 0, null, null, noHeaders);

describe('recordLogger', () => {
  it('writes at the level that it is called with, with the record and what the caller says', () => {
    const { logger, lines } = memoryLogger();
    const log = recordLogger(logger, record, 2);
    const about = { topic: 't', partition: 3, offset: 7, attempt: 2 };
    for (const level of ['debug', 'info', 'warn', 'error'] as const) {
      log[level]('one');
      log[level]('two', { more: level, offset: 'mine' });
      expect(lines.splice(0)).toEqual([
        [level, 'one', about],
        [level, 'two', { ...about, more: level, offset: 'mine' }],
      ]);
    }
  });
});

describe('context.log', () => {
  it('is made once for each attempt, when it is first read', () => {
    const { logger } = memoryLogger();
    const made: unknown[] = [];
    const owner = new OwnedPartition(0, { topic: 't', partition: 3, offset: 7 }, undefined);
    const call = new HandlerCall(undefined as never, record, owner, record, undefined);
    const services = {
      send() {},
      logFor: (of: unknown, attempt: number) => {
        made.push([of, attempt]);
        return recordLogger(logger, record, attempt);
      },
    };
    const first = new CallContext(call, services);
    expect(made).toEqual([]);
    expect(first.log).toBe(first.log);
    call.nextAttempt();
    const second = new CallContext(call, services);
    expect(second.log).not.toBe(first.log);
    expect(made).toEqual([
      [record, 1],
      [record, 2],
    ]);
  });
});
