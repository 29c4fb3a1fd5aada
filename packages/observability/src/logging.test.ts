import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type BatchHandler, json, type Logger, type Plugin, Worker, type WorkerOptions } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezePartition, perKey, retry, skip, stop } from '@kafka-worker/strategies';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import pino from 'pino';
import winston from 'winston';
import { pinoLogger, winstonLogger } from './foreign-loggers.ts';
import { LogRate } from './log-rate.ts';
import { type LoggingOptions, logging } from './logging.ts';
import { tracing } from './tracing.ts';

type Line = Readonly<Record<string, unknown>> & { readonly level: string; readonly message: string };
type Fields = Readonly<Record<string, unknown>>;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => {
  context.disable();
});

function noted(lines: Line[]): Logger {
  const level = (name: string) => (message: string, fields?: object) =>
    void lines.push({ ...fields, level: name, message });
  return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
}

function clusterWith(...values: readonly string[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 }, dead: { partitions: 1 } } });
  kafka.send(values.map((value) => ({ topic: 't', key: `key of ${value}`, value })));
  return kafka;
}

interface Run {
  readonly options?: Partial<WorkerOptions>;
  readonly logging?: Partial<LoggingOptions>;
  readonly plugins?: readonly Plugin[];
  readonly then?: (worker: Worker) => Promise<void>;
}

/** Runs a worker over what the topic holds, and gives the lines that were written. */
async function logged(kafka: FakeKafka, run: Run): Promise<Line[]> {
  const lines: Line[] = [];
  const worker = new Worker({
    ...{ kafka, groupId: 'g', name: 'w', topics: 't', clock: kafka.clock, logger: quiet, onFailure: stop() },
    ...{ concurrency: perKey({ concurrency: 10 }), handler: () => {} },
    plugins: [...(run.plugins ?? []), logging({ logger: noted(lines), ...run.logging })],
    ...run.options,
  } as WorkerOptions);
  worker.finished.catch(() => {});
  const starting = worker.start();
  await kafka.clock.advance(10);
  await starting;
  await kafka.clock.advance(10_000);
  await run.then?.(worker);
  const stopping = worker.stop({ timeoutMs: 1_000 });
  await kafka.clock.advance(60_000);
  await stopping;
  return lines;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}

const failing = (times: number) => (): void => {
  if (times-- > 0) throw new RangeError('no');
};
const of = (lines: readonly Line[], message: string): Line[] => lines.filter((line) => line.message === message);

describe('logging', () => {
  it('tells of a life: states, partitions, commits, each with constant messages', async () => {
    const lines = await logged(clusterWith('a'), {});
    expect(of(lines, 'worker changes state').map(({ from, to }) => [from, to])).toEqual([
      ['starting', 'running'],
      ['running', 'draining'],
      ['draining', 'stopped'],
    ]);
    expect(of(lines, 'partitions assigned')).toEqual([
      { level: 'info', message: 'partitions assigned', worker: 'w', partitions: ['t/0'] },
    ]);
    expect(of(lines, 'offsets committed')[0]).toMatchObject({ level: 'debug', offsets: ['t/0@1'] });
  });

  it.each([
    [
      'is tried again',
      retry({ maxAttempts: 3, backoff: { initialMs: 100, jitter: 0 }, then: stop() }),
      'warn',
      { afterMs: 100 },
    ],
    ['is skipped', skip(), 'error', {}],
    ['goes to the dead letter topic', deadLetter({ topic: 'dead' }), 'error', { deadLetterTopic: 'dead' }],
    ['stands still with what is behind it', freezePartition(), 'error', { scope: 'partition' }],
  ])('tells of a failure what becomes of it: the record %s', async (what, onFailure, level, more) => {
    const lines = await logged(clusterWith('a'), {
      options: { handler: failing(1), onFailure },
    });
    expect(of(lines, `handler failed, record ${what}`)).toEqual([
      {
        ...{
          level,
          message: `handler failed, record ${what}`,
          worker: 'w',
          topic: 't',
          partition: 0,
          offset: 0,
          attempt: 1,
          records: 1,
        },
        ...{
          keyHash: expect.stringMatching(/^[0-9a-f]{12}$/),
          error: expect.objectContaining({ name: 'RangeError', message: 'no' }),
        },
        ...more,
      },
    ]);
  });

  it('gives handlers a log that says which record it is, and in which trace', async () => {
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    const handler: WorkerOptions['handler'] = ({ value }, { log }) =>
      log.info('order handled', { total: 12, what: { value } });
    const lines = await logged(clusterWith('a', 'b'), {
      options: { handler },
      plugins: [tracing({ tracerProvider })],
    });
    const [first, second] = of(lines, 'order handled');
    const span = exporter.getFinishedSpans()[0]?.spanContext();
    expect(first).toEqual({
      ...{
        level: 'info',
        message: 'order handled',
        worker: 'w',
        topic: 't',
        partition: 0,
        offset: 0,
        attempt: 1,
        total: 12,
      },
      ...{ keyHash: expect.any(String), what: { value: '[redacted]' }, traceId: span?.traceId, spanId: span?.spanId },
    });
    expect(second?.keyHash).not.toBe(first?.keyHash);
  });

  describe.each([
    ['first', true],
    ['last', false],
  ])('beside tracing(), which comes %s', (_where, isFirst) => {
    async function run(options: object, more: object = {}) {
      const exporter = new InMemorySpanExporter();
      const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
      const lines: Line[] = [];
      const plugins = [tracing({ tracerProvider, ...more }), logging({ logger: noted(lines) })];
      const kafka = clusterWith('a', 'b');
      kafka.failSends(1, { retriable: true });
      await logged(kafka, {
        options: { plugins: isFirst ? plugins : plugins.reverse(), ...options },
      });
      const spans = exporter.getFinishedSpans();
      const idOf = (offset: number): string | undefined =>
        spans.find(({ attributes }) => attributes['kafka.offset'] === offset)?.spanContext().spanId;
      return { lines, spans, idOf };
    }

    it.each([
      ['is tried again', retry({ maxAttempts: 2, backoff: { initialMs: 100, jitter: 0 }, then: skip() })],
      ['is skipped', skip()],
      ['goes to the dead letter topic', deadLetter({ topic: 'dead' })],
      ['stands still with what is behind it', freezePartition()],
    ])('says of a failure in which trace it is: the record %s', async (what, onFailure) => {
      const { lines, idOf } = await run({ handler: failing(1), onFailure });
      const [line] = of(lines, `handler failed, record ${what}`);
      expect(line?.offset).toBe(0);
      expect(line?.spanId).toEqual(expect.any(String));
      expect(line?.spanId).toBe(idOf(0));
    });

    it('also of the one that ends the worker, and of a dead letter that cannot be written', async () => {
      const ended = await run({ handler: failing(1), onFailure: stop() });
      expect(of(ended.lines, 'handler failed, worker ends')[0]?.spanId).toBe(ended.idOf(0) ?? 'no span');
      const { lines, idOf } = await run({ handler: failing(1), onFailure: deadLetter({ topic: 'dead' }) });
      expect(of(lines, 'dead letter not written, tried again')[0]?.spanId).toBe(idOf(0) ?? 'no span');
    });

    it('of a batch names the first record and says how many there are, in the trace that there is', async () => {
      const batch = () => ({ handler: undefined, batchHandler: failing(1), concurrency: undefined, onFailure: skip() });
      const both = await run(batch());
      const [line, ...others] = of(both.lines, 'handler failed, record is skipped');
      expect(others).toEqual([]);
      expect(line).toMatchObject({ offset: 0, records: 2, spanId: both.idOf(0) ?? 'no span' });
      const { lines, spans } = await run(batch(), { spanPer: 'batch' });
      const [call] = of(lines, 'handler failed, record is skipped');
      expect(call).toMatchObject({ records: 2, spanId: spans[0]?.spanContext().spanId });
    });

    it('of a record that fails alone in its batch is in the trace of the call, where only that has a span', async () => {
      const batchHandler: BatchHandler<unknown, unknown, object> = ([, second], { fail }) => {
        if (second !== undefined) fail(second, new Error('alone'));
      };
      const options = { handler: undefined, batchHandler, concurrency: undefined, onFailure: skip() };
      const { lines, spans } = await run(options, { spanPer: 'batch' });
      const [line] = of(lines, 'handler failed, record is skipped');
      expect(line).toMatchObject({ offset: 1, spanId: spans[0]?.spanContext().spanId ?? 'no span' });
    });
  });

  it('writes nothing of what records hold, unless it may', async () => {
    const handler: WorkerOptions['handler'] = (record, { log }) =>
      log.info('seen', {
        record,
        bytes: record.value,
        list: [record.key],
        big: 1n,
        when: new Date(0),
        value: 'secret',
      });
    const run = { options: { handler } as Partial<WorkerOptions> };
    const [hidden] = of(await logged(clusterWith('secret'), run), 'seen');
    expect(JSON.stringify(hidden)).not.toContain('secret');
    expect(hidden).toMatchObject({
      record: { topic: 't', offset: 0, value: '[redacted]', key: '[redacted]' },
      bytes: '[6 bytes]',
      list: ['[13 bytes]'],
      big: '1',
      when: '1970-01-01T00:00:00.000Z',
    });
    const [shown] = of(await logged(clusterWith('secret'), { ...run, logging: { showsValues: true } }), 'seen');
    expect(shown).toMatchObject({
      record: { value: 'secret', key: 'key of secret' },
      bytes: 'secret',
      value: 'secret',
    });
  });

  it('writes neither a decoded value under another name, nor what JSON.parse quotes of one', async () => {
    const secret = 'x 4111 1111';
    const handler: WorkerOptions['handler'] = ({ value, key }, { log }) => {
      log.info('seen', { order: value, customer: key, list: [value], total: 1 });
      throw new Error('not stored', { cause: parsed(secret) });
    };
    const text = { deserialize: (bytes: Buffer | null) => String(bytes) };
    const options = { handler, value: text, key: text, onFailure: skip() } as unknown as Partial<WorkerOptions>;
    const lines = await logged(clusterWith(secret), { options });
    expect(JSON.stringify(lines)).not.toMatch(/4111|key of/);
    const hidden = '[redacted]';
    expect(of(lines, 'seen')).toMatchObject([{ order: hidden, customer: hidden, list: [hidden], total: 1 }]);
    expect(of(lines, 'handler failed, record is skipped')).toMatchObject([
      { error: { message: 'not stored', cause: { name: 'SyntaxError', stack: expect.stringContaining('JSON') } } },
    ]);
    const decoded = {
      handler: ({ value }: { readonly value: unknown }) => value,
      value: json(),
      onFailure: skip(),
    } as unknown as Partial<WorkerOptions>;
    const [failed] = of(await logged(clusterWith('x 4111'), { options: decoded }), 'handler failed, record is skipped');
    expect(JSON.stringify(failed)).not.toContain('4111');
    const shown = of(
      await logged(clusterWith('x4111'), { options: decoded, logging: { showsValues: true } }),
      'handler failed, record is skipped',
    );
    expect(JSON.stringify(shown)).toContain('x4111');
  });

  it('writes what there is of fields that cannot be read, and what says itself as text', async () => {
    const handler: WorkerOptions['handler'] = (_record, { log }) =>
      log.info('odd', {
        get broken(): never {
          throw new Error('no');
        },
        nested: {
          toJSON(): never {
            throw new Error('no');
          },
        },
        url: new URL('http://localhost/path'),
        fine: 1,
      });
    const [odd] = of(await logged(clusterWith('a'), { options: { handler } }), 'odd');
    expect(odd).toMatchObject({
      broken: '[unreadable]',
      nested: '[unreadable]',
      url: 'http://localhost/path',
      fine: 1,
    });
  });

  it('survives what cannot be written: circles, depths, keys that cannot be decoded, loggers that throw', async () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const handler: WorkerOptions['handler'] = (_record, { log }) =>
      log.info('odd', { circle, deep: { a: { b: { c: { d: { e: { f: 1 } } } } } } });
    const [odd] = of(await logged(clusterWith('a'), { options: { handler } }), 'odd');
    expect(odd).toMatchObject({ circle: { self: '[…]' }, deep: { a: { b: { c: { d: { e: '[…]' } } } } } });
    const readsKey = ({ key }: { readonly key: unknown }): unknown => key;
    const undecodable = await logged(clusterWith('a'), {
      options: { key: json(), handler: readsKey, onFailure: skip() } as unknown as Partial<WorkerOptions>,
    });
    expect(of(undecodable, 'handler failed, record is skipped').map(({ keyHash }) => keyHash)).toEqual([null]);
    const throwing = (): never => {
      throw new Error('the disk is full');
    };
    const kafka = clusterWith('a');
    await logged(kafka, {
      options: { handler },
      logging: { logger: { debug: throwing, info: throwing, warn: throwing, error: throwing } },
    });
    expect(kafka.committed('g', 't').get(0)).toBe(1);
  });

  it('leaves out what is too much of one message', async () => {
    const values = Array.from({ length: 10 }, (_, i) => String(i));
    const options = { handler: failing(10), onFailure: skip() } as Partial<WorkerOptions>;
    const lines = await logged(clusterWith(...values), { options, logging: { maxPerMinute: 3 } });
    expect(of(lines, 'handler failed, record is skipped')).toHaveLength(3);
    expect(of(lines, 'worker changes state')).toHaveLength(3);
    // No next line says so.
    expect(of(lines, 'lines were left out until the end')).toEqual([
      expect.objectContaining({ level: 'warn', worker: 'w', of: 'handler failed, record is skipped', lines: 7 }),
    ]);
  });

  it.each([
    [undefined, 'options'],
    [{}, 'logger'],
    [{ logger: { info() {} } }, 'logger'],
    [{ logger: quiet, showsValues: 'no' }, 'showsValues'],
    [{ logger: quiet, maxPerMinute: 0 }, 'maxPerMinute'],
    [{ logger: quiet, level: 'info' }, 'level'],
  ])('refuses options that are none: %p', (options, option) => {
    expect(() => logging(options as LoggingOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(option) }),
    );
  });
});

describe('how often a message is written', () => {
  it('is bounded in each window, and the next one says how many were left out', () => {
    const rate = new LogRate(2, 1_000);
    expect([0, 1, 2, 999].map((now) => rate.admit('m', now))).toEqual([0, 0, undefined, undefined]);
    expect(rate.admit('other', 999)).toBe(0);
    expect([1_000, 1_001].map((now) => rate.admit('m', now))).toEqual([2, 0]);
  });

  it('costs no memory for messages that are never the same', () => {
    const rate = new LogRate(1, 1e9);
    for (let i = 0; i < 5_000; i++) expect(rate.admit(`message ${i}`, 0)).toBe(0);
    expect(rate.admit('message 4999', 0)).toBeUndefined();
  });
});

describe('loggers of others', () => {
  const written = (): { stream: Writable; lines: () => Fields[] } => {
    let text = '';
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        text += chunk.toString();
        done();
      },
    });
    return {
      stream,
      lines: () =>
        text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Fields),
    };
  };

  it('winston writes message and fields as they are', () => {
    const { stream, lines } = written();
    const transports = new winston.transports.Stream({ stream }) as unknown as winston.transport;
    const logger = winstonLogger(winston.createLogger({ level: 'debug', transports }));
    logger.debug('plain');
    logger.error('handler failed', {
      offset: 7,
      message: 'a field',
      level: 'gold',
      error: { name: 'E', message: 'inner' },
    });
    expect(lines()).toEqual([
      { level: 'debug', message: 'plain' },
      {
        level: 'error',
        message: 'handler failed',
        offset: 7,
        fieldMessage: 'a field',
        fieldLevel: 'gold',
        error: { name: 'E', message: 'inner' },
      },
    ]);
  });

  it('pino does, too', () => {
    const { stream, lines } = written();
    const logger = pinoLogger(pino({ level: 'debug' }, stream));
    logger.debug('plain');
    logger.warn('commit failed', { offsets: ['t/0@1'] });
    logger.info('customer', { level: 'gold', time: 'noon', msg: 'hello' });
    expect(lines()).toMatchObject([
      { level: 20, msg: 'plain' },
      { level: 40, msg: 'commit failed', offsets: ['t/0@1'] },
      {
        level: 30,
        msg: 'customer',
        fieldLevel: 'gold',
        fieldTime: 'noon',
        fieldMsg: 'hello',
        time: expect.any(Number),
      },
    ]);
  });
});
