/**
 * 07 batch and record observability: a span for each handler call with a batch, linked to the spans of its records; lines and figures for both.
 *
 * Guarantee: every record has one span, whose parent is the span that produced it, and every call of the handler has one, with a link to each of its
 * records. A call that fails is an error on its own span, and an exception on those of its records; a record that fails alone is an exception on
 * its own span only. What is given up is an error there, and counted.
 *
 * Run: npm run example -- 07 --fail 0:17
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { logging, metrics, tracing, winstonLogger } from '@kafka-worker/observability';
import { perPartition, retry, skip } from '@kafka-worker/strategies';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { Registry } from 'prom-client';
import winston from 'winston';
import type { ExampleArguments } from '../harness/example-arguments.ts';
import { ExampleSpans } from '../harness/example-spans.ts';
import { linesForPeople } from '../harness/lines-for-people.ts';
import { type ObservedExample, observed } from '../harness/observed.ts';
import type { ExampleSetup } from '../harness/run-example.ts';

interface Order {
  readonly order: number;
}

export function createWorker(setup: ExampleSetup, registry: Registry, logger: winston.Logger): Worker {
  const { kafka, groupId, topics, plugins } = setup;
  const lines = winstonLogger(logger);
  return new Worker({
    ...{ kafka, groupId, topics, logger: lines },
    concurrency: perPartition(),
    batch: { maxRecords: 20, maxWaitMs: 20 },
    onFailure: retry({ maxAttempts: 3, backoff: { initialMs: 20 }, then: skip({ log: false }) }), // logging() says it
    batchHandler: async (records, { attempt, log, signal }) => {
      const orders = records.map(({ value }) => JSON.parse(String(value)) as Order);
      await store(orders, attempt, signal);
      log.debug('orders stored', { orders: orders.length });
    },
    // The first is the outermost: what the others do is inside the batch's span.
    plugins: [
      tracing({ spanPer: 'both' }), // what a batchHandler has by default; 'record' and 'batch' are the halves of it
      metrics({ registry }),
      logging({ logger: lines }),
      ...plugins,
    ],
  });
}

/** Stands for an INSERT of many rows, which fails now and then. Its span is inside the batch's, for that one is active here. */
async function store(orders: readonly Order[], attempt: number, signal: AbortSignal): Promise<void> {
  await trace.getTracer('example-07').startActiveSpan('store', async (span) => {
    span.setAttribute('rows', orders.length);
    try {
      await sleep(orders.length % 7, undefined, { signal });
      if (orders.some(({ order }) => order === 50) && attempt === 1) throw new Error('the database did not answer');
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Where spans, figures and lines go. */
export function open(setup: ExampleSetup, given: ExampleArguments): Promise<ObservedExample> {
  const spans = new ExampleSpans(given.traceOtlp); // to a collector, or else into memory
  new NodeSDK({
    serviceName: 'example-07',
    spanProcessors: [spans.processor],
    metricReaders: [], // figures go to Prometheus,
    logRecordProcessors: [], // and lines to winston
  }).start();
  const registry = new Registry();
  const logger = winston.createLogger({
    level: 'info',
    format: linesForPeople, // winston.format.json() for machines
    transports: [new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] })],
  });
  return observed({ spans, registry, logger }, given, setup, (all) => createWorker(all, registry, logger));
}
