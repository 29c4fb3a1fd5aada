import { describe, expect, it } from '@jest/globals';
import { stopPolicy } from './defaults.ts';
import type { Handler } from './handler.ts';
import { HandlerError } from './handler-errors.ts';
import type { Logger } from './logger.ts';
import type { Plugin } from './plugin.ts';
import { retryPolicy } from './retry-policy.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function clusterWith(...values: readonly string[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
  kafka.send(values.map((value) => ({ topic: 't', value })));
  return kafka;
}

const common = (kafka: FakeKafka, ...plugins: readonly Plugin[]) =>
  ({ ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet as Logger }, plugins }) as const;

function workerOn(
  kafka: FakeKafka,
  handler: Handler<Buffer | null, Buffer | null, object>,
  ...plugins: readonly Plugin[]
): Worker {
  return new Worker({ ...common(kafka, ...plugins), handler, onFailure: stopPolicy });
}

describe('a plugin', () => {
  it('wraps around each attempt of a batch handler with aroundBatch, and not with aroundRecord', async () => {
    const kafka = clusterWith('a', 'b');
    const order: string[] = [];
    const plugin: Plugin = {
      name: 'p',
      async aroundBatch(records, context, next) {
        order.push(`in ${records.map((record) => String(record.value)).join('')} ${context.attempt}`);
        try {
          await next();
        } finally {
          order.push('out');
        }
      },
      aroundRecord: () => Promise.reject(new Error('not for batches')),
      listeners: {
        failed: ({ record, records, decision }) =>
          void order.push(`${decision.do} ${record.offset}: ${records.map(({ offset }) => offset).join()}`),
      },
    };
    const worker = new Worker({
      ...common(kafka, plugin),
      onFailure: retryPolicy({ then: stopPolicy, backoff: { initialMs: 1 } }),
      batchHandler: (_records, { attempt }) => {
        order.push('handler');
        if (attempt === 1) throw new Error('once more');
      },
    });
    await worker.start();
    await kafka.clock.advance(2_000);
    expect(order).toEqual(['in ab 1', 'handler', 'out', 'retry 0: 0,1', 'in ab 2', 'handler', 'out']);
    expect(await worker.stop()).toMatchObject({ state: 'stopped', handled: 2 });
  });

  it('that fails fails the record, and nothing is committed', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(kafka, () => {}, { name: 'p', aroundRecord: () => Promise.reject(new Error('own')) });
    const finished = expect(worker.finished).rejects.toThrow(HandlerError);
    await worker.start();
    await kafka.clock.advance(2_000);
    await finished;
    expect(kafka.committed('g', 't').get(0)).toBe(0);
  });

  it('that does not call next does not make its record handled', async () => {
    const kafka = clusterWith('a');
    let calls = 0;
    const worker = workerOn(kafka, () => calls++, { name: 'p', aroundRecord: () => Promise.resolve() });
    const finished = expect(worker.finished).rejects.toThrow('plugin p did not call next()');
    await worker.start();
    await kafka.clock.advance(2_000);
    await finished;
    expect([calls, kafka.committed('g', 't').get(0)]).toEqual([0, 0]);
  });

  it('makes the logger of each context once, from the one before it', async () => {
    const kafka = clusterWith('a', 'b');
    const made: string[] = [];
    const lines: unknown[] = [];
    const prefixing = (name: string): Plugin => ({
      name,
      logFor(record, log) {
        made.push(`${name}${record.offset}`);
        return { ...log, warn: (message, fields) => log.warn(`${name} ${message}`, fields) };
      },
    });
    const worker = new Worker({
      ...common(kafka, prefixing('one'), prefixing('two')),
      logger: { ...quiet, warn: (message, fields) => void lines.push([message, fields]) },
      handler: (record, context) => {
        if (record.offset === 0) return;
        context.log.warn('first', { n: 1 });
        context.log.warn('second');
      },
    });
    await worker.start();
    await kafka.clock.advance(10);
    await worker.stop();
    const about = { topic: 't', partition: 0, offset: 1, attempt: 1 };
    expect(made).toEqual(['one1', 'two1']);
    expect(lines).toEqual([
      ['one two first', { ...about, n: 1 }],
      ['one two second', about],
    ]);
  });

  it('sees every message on its way out, after those before it, with the record that it is of', async () => {
    const kafka = clusterWith('a');
    const plugin = (name: string): Plugin => ({
      name,
      outgoing: (message, source) => ({ ...message, value: `${String(message.value)} ${name}@${source.offset}` }),
    });
    const worker = workerOn(
      kafka,
      (_record, { send }) => send({ topic: 'out', value: 'x' }),
      ...[plugin('one'), plugin('two')],
    );
    await worker.start();
    await kafka.clock.advance(2_000);
    await worker.stop();
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(['x one@0 two@0']);
  });

  it('that throws on a message on its way out fails the record', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(kafka, (_record, { send }) => send({ topic: 'out', value: 'x' }), {
      name: 'p',
      outgoing: () => {
        throw new Error('outgoing');
      },
    });
    const finished = expect(worker.finished).rejects.toThrow('outgoing');
    await worker.start();
    await kafka.clock.advance(2_000);
    await finished;
    expect([kafka.records('out').length, kafka.committed('g', 't').get(0)]).toEqual([0, 0]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('start');
      },
    ],
    ['rejects', () => Promise.reject(new Error('start'))],
  ] as [string, () => Promise<void>][])(
    'whose start %s keeps the worker from starting, and those that had started are stopped',
    async (_how, start) => {
      const kafka = clusterWith('a');
      const stopped: string[] = [];
      const plugin = (name: string): Plugin => ({ name, stop: async () => void stopped.push(name) });
      const worker = workerOn(kafka, () => {}, plugin('one'), { ...plugin('two'), start }, plugin('three'));
      await expect(worker.start()).rejects.toThrow('start');
      expect([worker.state, stopped]).toEqual(['failed', ['two', 'one']]);
      expect(kafka.committed('g', 't').size).toBe(0);
      expect(kafka.clock.pendingTimers).toBe(0);
    },
  );

  it.each([
    [
      'throws',
      () => {
        throw new Error('stop');
      },
    ],
    ['rejects', () => Promise.reject(new Error('stop'))],
  ] as [string, () => Promise<void>][])(
    "whose stop %s is the summary's error, after everything was committed, and the others are stopped too",
    async (_how, stop) => {
      const kafka = clusterWith('a');
      const stopped: string[] = [];
      const plugin = (name: string): Plugin => ({ name, stop: async () => void stopped.push(name) });
      const worker = workerOn(kafka, () => {}, plugin('one'), { name: 'two', stop }, plugin('three'));
      await worker.start();
      await kafka.clock.advance(10);
      const summary = await worker.stop();
      expect(summary).toMatchObject({ state: 'failed', handled: 1, error: { message: 'stop' } });
      expect([stopped, kafka.committed('g', 't').get(0)]).toEqual([['three', 'one'], 1]);
    },
  );

  it('whose stop hangs is not waited for longer than five seconds', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(kafka, () => {}, { name: 'slow', stop: () => new Promise(() => {}) });
    await worker.start();
    const stopping = worker.stop();
    await kafka.clock.advance(6_000);
    expect((await stopping).error?.message).toContain('plugin slow did not stop within 5000 ms');
  });
});
