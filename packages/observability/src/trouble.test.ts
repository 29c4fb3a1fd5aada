import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { type Plugin, Worker, type WorkerOptions } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  SimpleSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { Gauge, Registry } from 'prom-client';
import { logging } from './logging.ts';
import { metrics } from './metrics.ts';
import { tracing } from './tracing.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Runs a worker over three records to its end, in virtual time, and tells what it reported. */
async function run(
  plugins: readonly Plugin[],
  whileItRuns: (kafka: FakeKafka) => Promise<void> = async () => {},
  handler: WorkerOptions['handler'] = () => {},
) {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
  kafka.send(['a', 'b', 'c'].map((value) => ({ topic: 't', value })));
  const errors: string[] = [];
  const worker = new Worker({
    ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, handler, plugins },
  });
  worker.on('error', ({ error }) => void errors.push(error.message));
  const starting = worker.start();
  await kafka.clock.advance(10);
  await starting;
  await kafka.clock.advance(2_000);
  await whileItRuns(kafka);
  const stopping = worker.stop();
  await kafka.clock.advance(60_000);
  const { state, handled } = await stopping;
  return { state, handled, committed: kafka.committed('g', 't').get(0), errors };
}

const fine = { state: 'stopped', handled: 3, committed: 3 };

describe('a worker whose telemetry is in trouble goes on', () => {
  it.each([
    ['one by one', (exporter: SpanExporter) => new SimpleSpanProcessor(exporter)],
    ['in batches', (exporter: SpanExporter) => new BatchSpanProcessor(exporter, { exportTimeoutMillis: 200 })],
  ])('when the exporter of its spans never answers: %s', async (_how, newProcessor) => {
    let exported = 0;
    const exporter = {
      export(spans: readonly unknown[]) {
        exported += spans.length;
      },
      shutdown: () => new Promise<void>(() => {}),
      forceFlush: () => new Promise<void>(() => {}),
    };
    const processor = newProcessor(exporter);
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [processor] });
    const flushing = async (): Promise<void> => {
      // Whoever flushes waits; the worker does not flush, and is stopped meanwhile.
      void processor.forceFlush().catch(() => {});
    };
    expect(await run([tracing({ tracerProvider })], flushing)).toEqual({ ...fine, errors: [] });
    expect(exported).toBeGreaterThan(0);
  });

  it("when an export hangs, of which OpenTelemetry's own logger hears, and of spans that are dropped", async () => {
    const heard: string[] = [];
    const note = (level: string) => (message: string) => void heard.push(`${level}: ${message}`);
    const ignore = (): void => {};
    diag.setLogger(
      { verbose: ignore, debug: ignore, info: ignore, warn: note('warn'), error: note('error') },
      DiagLogLevel.WARN,
    );
    const exporter = { export: () => {}, shutdown: async () => {}, forceFlush: async () => {} };
    const limits = { maxQueueSize: 1, maxExportBatchSize: 1, exportTimeoutMillis: 50 };
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter, limits)] });
    const timeouts = (): string[] => heard.filter((line) => line.startsWith('error'));
    const untilHeard = async (kafka: FakeKafka): Promise<void> => {
      // In real time. Of the three spans one is exported, one waits and one has no room: the one that waits is the next that hangs.
      while (timeouts().length < 2) await sleep(10);
      kafka.send([{ topic: 't', value: 'd' }]);
      await kafka.clock.advance(2_000);
      while (timeouts().length < 3) await sleep(10);
    };
    try {
      const told = await run([tracing({ tracerProvider })], untilHeard);
      expect(told).toEqual({ ...fine, handled: 4, committed: 4, errors: [] });
      expect(timeouts().every((line) => line.includes('"message":"Timeout"'))).toBe(true);
      expect(heard.filter((line) => line.startsWith('warn'))).toEqual([
        'warn: Dropped 1 spans because maxQueueSize reached',
      ]);
    } finally {
      diag.disable();
    }
  });

  it('when the exporter of its spans throws, and says so', async () => {
    const throwing = {
      onStart: () => {},
      onEnd: () => {
        throw new Error('no room for spans');
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [throwing] });
    const { errors, ...rest } = await run([tracing({ tracerProvider })]);
    expect(rest).toEqual(fine);
    expect(errors).toEqual(['tracing: no room for spans']);
  });

  it('when a metric of somebody else throws at the scrape, and its own are there for the next one', async () => {
    const registry = new Registry();
    const collect = (): void => {
      throw new Error('no value');
    };
    new Gauge({ name: 'broken', help: 'Throws.', registers: [registry], collect });
    let text = '';
    const scrape = async (): Promise<void> => {
      await expect(registry.metrics()).rejects.toThrow('no value');
      registry.removeSingleMetric('broken');
      text = await registry.metrics();
    };
    expect(await run([metrics({ registry })], scrape)).toEqual({ ...fine, errors: [] });
    expect(text).toContain('kafka_worker_records_total{worker="g",topic="t",outcome="handled"} 3');
  });

  it('when it cannot be asked at the scrape, and says so', async () => {
    const registry = new Registry();
    const spoiling: Plugin = {
      name: 'spoiling',
      async start(worker) {
        Object.assign(worker, {
          status: () => {
            throw new Error('no status');
          },
        });
      },
    };
    const scrape = async (): Promise<void> => {
      await registry.metrics();
    };
    const { errors, ...rest } = await run([spoiling, metrics({ registry })], scrape);
    expect(rest).toEqual(fine);
    expect(errors).toEqual(['metrics: no status']);
  });

  it('when the logger throws at every line, and says so', async () => {
    const throwing = (): never => {
      throw new Error('the disk is full');
    };
    const logger = { debug: throwing, info: throwing, warn: throwing, error: throwing };
    const handler: WorkerOptions['handler'] = (_record, { log }) => log.info('handled');
    const { errors, ...rest } = await run([logging({ logger })], undefined, handler);
    expect(rest).toEqual(fine);
    // Of the lines of its own, and once of those of the handler.
    expect(errors.filter((message) => message === 'logging: the disk is full')).toHaveLength(1);
    expect(new Set(errors)).toEqual(new Set(['the disk is full', 'logging: the disk is full']));
  });

  it('when a listener throws at every event, and says so for each', async () => {
    const throwing = (): never => {
      throw new Error('a listener');
    };
    const listening: Plugin = {
      name: 'listening',
      listeners: { settled: throwing, committed: throwing, state: throwing },
    };
    const { errors, ...rest } = await run([listening]);
    expect(rest).toEqual(fine);
    expect(errors.length).toBeGreaterThanOrEqual(5);
    expect(new Set(errors)).toEqual(new Set(['a listener']));
  });
});
