/**
 * 06 record observability: a span, a line and figures for each record. OpenTelemetry's own SDK, prom-client and winston, each as you would set it up.
 *
 * Guarantee: every record has one span, from its first handler call until something has become of it, whose parent is the span that produced it.
 * A failed call is an exception on that span and counts as a failure; a record that is given up is an error there. Traces, metrics and logs
 * stop no record: when a collector is away, the worker goes on.
 *
 * Run: npm run example -- 06 --fail 0:17
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { logging, metrics, tracing, winstonLogger } from '@kafka-worker/observability';
import { perKey, retry, skip } from '@kafka-worker/strategies';
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
  readonly amount: number;
}

export function createWorker(setup: ExampleSetup, registry: Registry, logger: winston.Logger): Worker {
  const { kafka, groupId, topics, plugins } = setup;
  const lines = winstonLogger(logger);
  return new Worker({
    ...{ kafka, groupId, topics, logger: lines },
    concurrency: perKey({ concurrency: 10 }), // any other would do: what is observed is the record
    onFailure: retry({ maxAttempts: 3, backoff: { initialMs: 20 }, then: skip({ log: false }) }), // logging() says it
    handler: async (record, { attempt, log, signal }) => {
      const order = JSON.parse(String(record.value)) as Order;
      await charge(order, attempt, signal);
      log.debug('order charged', { order: order.order });
    },
    // The first is the outermost: what the others do is inside the record's span.
    plugins: [tracing(), metrics({ registry }), logging({ logger: lines }), ...plugins],
  });
}

/** Stands for a call to another service, which fails now and then. The span of this call is inside the record's, for that one is active here. */
async function charge({ order, amount }: Order, attempt: number, signal: AbortSignal): Promise<void> {
  await trace.getTracer('example-06').startActiveSpan('charge', async (span) => {
    try {
      await sleep(amount % 7, undefined, { signal });
      if (order % 200 === 50 && attempt === 1) throw new Error('the payment service did not answer');
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
    serviceName: 'example-06',
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
