import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { type Plugin, Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { ExportResultCode } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { tracing } from './tracing.ts';
import { watchedExporter } from './watched-exporter.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const ends = { shutdown: async () => {}, forceFlush: async () => {} };

/** What a worker says of the exporter of its spans while it handles records, and once it has stopped. */
async function heardBy(
  exporter: SpanExporter,
  newProcessor: (to: SpanExporter) => SpanProcessor = (to) => new SimpleSpanProcessor(to),
) {
  const watched = watchedExporter(exporter, { slowAfterMs: 30 });
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [newProcessor(watched)] });
  const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
  const heard: string[] = [];
  const newWorker = (groupId: string): Worker => {
    const plugins: Plugin[] = [tracing({ tracerProvider, exporter: watched })];
    const worker = new Worker({
      ...{ kafka, groupId, topics: 't', clock: kafka.clock, logger: quiet, handler: () => {}, plugins },
    });
    worker.on('error', ({ error }) => void heard.push(`${groupId}: ${error.message}`));
    return worker;
  };
  const workers = ['one', 'two'].map(newWorker);
  kafka.send(['a', 'b'].map((value) => ({ topic: 't', value })));
  const starting = Promise.all(workers.map((worker) => worker.start()));
  await kafka.clock.advance(2_000);
  await starting;
  return {
    heard,
    send: async (value: string) => {
      kafka.send([{ topic: 't', value }]);
      await kafka.clock.advance(2_000);
    },
    stop: async () => {
      const stopping = Promise.all(workers.map((worker) => worker.stop()));
      await kafka.clock.advance(60_000);
      return (await stopping).map(({ state, handled }) => ({ state, handled }));
    },
  };
}

describe('watchedExporter()', () => {
  it.each([
    ['one by one', (exporter: SpanExporter) => new SimpleSpanProcessor(exporter)],
    [
      'in batches',
      (exporter: SpanExporter) =>
        new BatchSpanProcessor(exporter, { exportTimeoutMillis: 500, scheduledDelayMillis: 10 }),
    ],
  ])('has every worker tell of an export that hangs, once, and none is kept: %s', async (_how, newProcessor) => {
    const { heard, stop } = await heardBy({ ...ends, export: () => {} }, newProcessor);
    while (heard.length < 2) await sleep(5);
    await sleep(60);
    expect(heard.sort()).toEqual(
      ['one', 'two'].map((worker) => `${worker}: tracing: an export of spans has not answered for 30 ms`),
    );
    expect(await stop()).toEqual(Array(2).fill({ state: 'stopped', handled: 2 }));
  });

  it.each([
    ['answers that it failed', (done: (answer: { code: number; error?: Error }) => void) => done({ code: 1 }), ''],
    [
      'says why',
      (done: (answer: { code: number; error?: Error }) => void) => done({ code: 1, error: new Error('ECONNREFUSED') }),
      ': ECONNREFUSED',
    ],
    [
      'says why of each address that was tried',
      (done: (answer: { code: number; error?: Error }) => void) =>
        done({ code: 1, error: new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')]) }),
      ': refused ::1, refused 127.0.0.1',
    ],
    [
      'throws',
      () => {
        throw new Error('no such host');
      },
      ': no such host',
    ],
  ])('tells of one that %s', async (_how, answer, why) => {
    const { heard, stop } = await heardBy({ ...ends, export: (_spans, done) => answer(done) });
    while (heard.length < 2) await sleep(5);
    expect(heard.sort()).toEqual(['one', 'two'].map((worker) => `${worker}: tracing: an export of spans failed${why}`));
    expect(await stop()).toEqual(Array(2).fill({ state: 'stopped', handled: 2 }));
  });

  it('says nothing of an export that answers, nor to a worker that has stopped', async () => {
    const waiting: (() => void)[] = [];
    let isAway = false;
    const memory = new InMemorySpanExporter();
    const { heard, send, stop } = await heardBy({
      ...ends,
      export: (spans, done) => {
        if (isAway) waiting.push(() => done({ code: ExportResultCode.FAILED, error: new Error('away') }));
        else memory.export(spans, done);
      },
    });
    await sleep(60);
    expect([memory.getFinishedSpans().length, heard]).toEqual([4, []]);
    isAway = true;
    await send('c');
    await stop();
    const before = [...heard];
    for (const answer of waiting) answer();
    expect([waiting.length, heard]).toEqual([2, before]);
  });

  it('tells the first answer only, and passes on what is answered and thrown', () => {
    const told: string[] = [];
    const answers: number[] = [];
    const watched = watchedExporter({
      ...ends,
      export: (_spans, done) => {
        done({ code: 0 });
        done({ code: 1, error: new Error('once more') });
      },
    });
    watched.watch(({ message }) => void told.push(message));
    watched.export([], ({ code }) => void answers.push(code));
    const refuse = (): void => {
      throw new Error('the span processor');
    };
    expect(() => watched.export([], refuse)).toThrow('the span processor');
    expect([answers, told]).toEqual([[0, 1], []]);
  });

  it("passes on what it is asked for, and the exporter's answers", async () => {
    const calls: string[] = [];
    const exporter = {
      export: (spans: unknown[], done: (answer: { code: number }) => void) => {
        calls.push(`export ${spans.length}`);
        done({ code: 0 });
      },
      shutdown: async () => void calls.push('shutdown'),
      forceFlush: async () => void calls.push('forceFlush'),
    };
    const watched = watchedExporter(exporter);
    watched.export([1, 2], ({ code }) => void calls.push(`answer ${code}`));
    await watched.forceFlush();
    await watched.shutdown();
    await watchedExporter({ export: exporter.export, shutdown: exporter.shutdown }).forceFlush();
    expect(calls).toEqual(['export 2', 'answer 0', 'forceFlush', 'shutdown']);
  });

  it.each([
    ['no exporter', () => watchedExporter(undefined as never), 'exporter: expected a SpanExporter of OpenTelemetry'],
    ['no method to export with', () => watchedExporter({} as never), 'exporter: expected a SpanExporter'],
    [
      'unknown options',
      () => watchedExporter({ ...ends, export() {} }, { slow: 1 } as never),
      'slow: expected no option',
    ],
    ['no time', () => watchedExporter({ ...ends, export() {} }, { slowAfterMs: 0 }), 'slowAfterMs: expected a whole'],
    [
      'an exporter that nobody watches',
      () => tracing({ exporter: { ...ends, export() {} } as never }),
      'exporter: expected what watchedExporter(exporter) has made',
    ],
  ])('refuses %s', (_what, build, message) => {
    expect(build).toThrow(message);
  });
});
