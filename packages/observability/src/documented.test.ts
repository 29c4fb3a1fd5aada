import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ClientStatistics, type Logger, Worker, type WorkerOptions } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezePartition, perKey, retry, skip, stop } from '@kafka-worker/strategies';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { Registry } from 'prom-client';
import { logging } from './logging.ts';
import { metrics } from './metrics.ts';
import { tracing } from './tracing.ts';

const page = readFileSync(new URL('../../../docs/metrics-spans-logs.md', import.meta.url), 'utf8');
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();
const inBackticks = (text = ''): string[] => Array.from(text.matchAll(/`([^`]+)`/g), ([, name = '']) => name);

/** The cells of a table of the page, without its head. */
function documented(name: string): string[][] {
  const [, body = ''] = new RegExp(`<!-- table ${name} -->\\n(.*?)\\n<!-- end -->`, 's').exec(page) ?? [];
  const rows = body.split('\n').map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
  return rows.slice(2).map((cells) => cells.slice(1, -1));
}

/** Everything that the plugins have told of workers in every kind of trouble. */
const told = {
  series: new Set<string>(),
  types: new Map<string, string>(),
  lines: [] as Readonly<Record<string, unknown>>[],
  exporter: new InMemorySpanExporter(),
};

const logger = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map((level) => [
    level,
    (message: string, fields?: object) => void told.lines.push({ ...fields, level, message }),
  ]),
) as unknown as Logger;

/** The cluster in memory keeps none. */
const clientStatistics: ClientStatistics = {
  ...{ client: 'consumer', queuedRecords: 1, queuedBytes: 2, sentBytes: 3, receivedBytes: 4 },
  brokers: [{ id: 1, rttMs: 5, openRequests: 6 }],
};

interface Trouble {
  readonly options: Partial<WorkerOptions> | { readonly handler: undefined; readonly batchHandler: () => void };
  /** While the worker runs. */
  readonly then?: (worker: Worker, kafka: FakeKafka) => Promise<void>;
}

/** Runs a worker with all plugins, and notes what they tell. */
async function run({ options, then }: Trouble): Promise<void> {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 }, dead: { partitions: 1 } } });
  kafka.send([
    { topic: 't', key: 'a', value: 'a' },
    { topic: 't', key: 'b', value: null },
  ]);
  const registry = new Registry();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(told.exporter)] });
  const consumer = kafka.consumer.bind(kafka);
  kafka.consumer = (given) => {
    given.statistics?.(() => clientStatistics);
    return consumer(given);
  };
  const worker = new Worker({
    ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, onFailure: stop(), handler: () => {} },
    ...{ concurrency: perKey({ concurrency: 10 }), stuckAfterMs: 1_000, revokeDrainMs: 3_000 },
    plugins: [tracing({ tracerProvider }), metrics({ registry }), logging({ logger })],
    ...options,
  } as WorkerOptions);
  worker.finished.catch(() => {});
  const scrape = async (): Promise<void> => {
    for (const line of (await registry.metrics()).split('\n')) {
      const [, type, name = '', kind = ''] = /^# (TYPE) (\S+) (\S+)$/.exec(line) ?? [];
      if (type !== undefined) told.types.set(name, kind);
      else if (line !== '' && !line.startsWith('#')) told.series.add(line.slice(0, line.lastIndexOf(' ')));
    }
  };
  const starting = worker.start();
  await kafka.clock.advance(10);
  await starting;
  await kafka.clock.advance(60_000);
  await scrape();
  await then?.(worker, kafka);
  await scrape();
  // The event loop's delay is measured in real time.
  while (![...told.series].some((series) => series.includes('event_loop_delay'))) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await scrape();
  }
  const stopping = worker.stop({ timeoutMs: 1_000 });
  await kafka.clock.advance(60_000);
  await stopping;
}

const failing = (times: number) => (): void => {
  if (times-- > 0) throw new RangeError('no');
};
const once = (then: ReturnType<typeof skip>): ReturnType<typeof retry> =>
  retry({ maxAttempts: 2, backoff: { initialMs: 10 }, then });
const place = [{ topic: 't', partition: 0 }];

const troubles: readonly Trouble[] = [
  {
    options: { handler: failing(100), onFailure: once(deadLetter({ topic: 'dead' })) },
    async then(worker, kafka) {
      kafka.failSends(1, { retriable: true });
      kafka.failCommits(1, { kafkaCode: 14, retriable: true });
      worker.on('polled', () => {
        throw new Error('a listener throws');
      });
      kafka.send([{ topic: 't', key: 'c', value: 'c' }]);
      await kafka.clock.advance(60_000);
      worker.pause();
    },
  },
  { options: { handler: undefined, batchHandler: failing(3), onFailure: once(skip()) } },
  {
    options: { handler: failing(1), onFailure: freezePartition() },
    async then(worker, kafka) {
      await worker.unfreeze({ topic: 't', partition: 0 });
      await kafka.clock.advance(1_000);
    },
  },
  { options: { handler: failing(1), onFailure: stop() } },
  {
    options: { handler: failing(1_000), onFailure: skip() },
    async then(_worker, kafka) {
      kafka.send(Array.from({ length: 100 }, () => ({ topic: 't', key: 'c', value: 'c' })));
      await kafka.clock.advance(1_000);
    },
  },
  {
    options: {},
    async then(_worker, kafka) {
      kafka.group('g').revoke();
      await kafka.clock.advance(1_000);
      kafka.group('g').assign(place);
      await kafka.clock.advance(1_000);
      kafka.group('g').lose();
      await kafka.clock.advance(1_000);
    },
  },
  {
    options: { handler: async () => new Promise(() => {}), onStuckHandler: 'release' },
    async then(_worker, kafka) {
      kafka.group('g').revoke();
      await kafka.clock.advance(30_000);
    },
  },
];

beforeAll(async () => {
  for (const trouble of troubles) await run(trouble);
});
afterAll(() => told.exporter.reset());

describe('the page of metrics, spans and log lines', () => {
  it('has every metric with its kind and its labels, and no other', () => {
    const emitted = new Map<string, Set<string>>();
    for (const series of told.series) {
      const [, full = '', labels = ''] = /^(\w+)\{(.*)\}$/.exec(series) ?? [];
      const name = told.types.has(full) ? full : full.replace(/_(bucket|sum|count)$/, '');
      const names = emitted.get(name) ?? new Set();
      for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) if (label !== 'le') names.add(label);
      emitted.set(name, names);
    }
    const rows = documented('metrics').map(([name = '', kind, , labels = '']) => [
      ...inBackticks(name),
      kind,
      sorted(inBackticks(labels)),
    ]);
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.sort()).toEqual(
      Array.from(emitted, ([name, labels]) => [name, told.types.get(name), sorted(labels)]).sort(),
    );
    expect(sorted(told.types.keys())).toEqual(sorted(emitted.keys()));
  });

  it('has every label, and every value of those that have a list', () => {
    const used = [...told.series].flatMap((series) => [...series.matchAll(/(\w+)="([^"]*)"/g)]);
    const rows = documented('labels').map(([name = '', what = '']) => [inBackticks(name)[0] ?? '', what] as const);
    expect(sorted(used.map(([, label = '']) => label).filter((label) => label !== 'le'))).toEqual(
      sorted(rows.map(([label]) => label)),
    );
    for (const [label, what] of rows.filter(([, text]) => text.startsWith('`'))) {
      const values = sorted(used.filter(([, name]) => name === label).map(([, , value = '']) => value));
      expect([label, values.filter((value) => !inBackticks(what).includes(value))]).toEqual([label, []]);
    }
  });

  it.each(['record', 'batch'])('has every attribute and event of the span of a %s, and no other', (which) => {
    const isBatch = which === 'batch';
    const all = told.exporter
      .getFinishedSpans()
      .filter(({ attributes }) => 'messaging.batch.message_count' in attributes === isBatch);
    const row = documented('spans').find(([name]) => name === which);
    const [, , , , attributes, events] = row ?? [];
    expect(sorted(all.flatMap((span) => Object.keys(span.attributes)))).toEqual(sorted(inBackticks(attributes)));
    expect(sorted(all.flatMap((span) => span.events.map(({ name }) => name)))).toEqual(sorted(inBackticks(events)));
    const explained = [...documented('attributes'), ...documented('events')].flatMap(([name]) => inBackticks(name));
    const own = [...inBackticks(attributes), ...inBackticks(events)];
    expect(own.filter((name) => !explained.includes(name))).toEqual([]);
  });

  it('explains no attribute and no event that there is not', () => {
    const all = told.exporter.getFinishedSpans();
    const events = all.flatMap((span) => span.events);
    const emitted = [...all, ...events].flatMap(({ attributes = {} }) => Object.keys(attributes));
    const explained = [...documented('attributes'), ...documented('events')].map(([name]) => inBackticks(name)[0]);
    const names = new Set([...emitted, ...events.map(({ name }) => name)]);
    expect(explained.filter((name = '') => !names.has(name))).toEqual([]);
  });

  it('has every line with its level and its fields, and no other', () => {
    const rows = documented('lines').map(([message, level, fields]) => [message, level, sorted(inBackticks(fields))]);
    const emitted = new Map(
      told.lines.map(({ message, level, worker: _, suppressed: __, ...fields }) => {
        const row = [String(message), String(level), sorted(Object.keys(fields))];
        return [JSON.stringify(row), row] as const;
      }),
    );
    expect([...emitted.keys()].sort()).toEqual(rows.map((row) => JSON.stringify(row)).sort());
    expect(told.lines.filter(({ worker }) => worker !== 'g')).toEqual([]);
  });
});
