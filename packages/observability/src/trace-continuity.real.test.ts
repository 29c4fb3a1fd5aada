import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ClientStatistics, type Handler, systemClock, Worker, type WorkerOptions } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { atLeastOnce, deadLetter, exactlyOnce, skip } from '@kafka-worker/strategies';
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { Registry } from 'prom-client';
import { metrics } from './metrics.ts';
import { tracing } from './tracing.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const propagator = new W3CTraceContextPropagator();
const connect = { timeoutMs: 30_000 };
const name = (of: string): string => `trace-${of}-${process.pid}-${process.hrtime.bigint()}`;

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(propagator);
});
afterAll(() => {
  context.disable();
  propagation.disable();
});

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(10);
  }
}

function workerOn(topics: readonly string[], options: Partial<WorkerOptions>, librdkafka = {}): Worker {
  const worker = new Worker({
    kafka: confluentKafka({ brokers: (brokers ?? '').split(','), librdkafka }),
    ...{ groupId: name('group'), topics, logger: quiet, onFailure: skip(), handler: () => {} },
    ...options,
  } as WorkerOptions);
  worker.finished.catch(() => {});
  return worker;
}

/** A span of a producer, and the header that carries it. */
function produced(): { readonly traceId: string; readonly spanId: string; readonly traceparent: string } {
  const span = tracerProvider.getTracer('producer').startSpan('send');
  const carrier: Record<string, string> = {};
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier);
  span.end();
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId, traceparent: carrier.traceparent ?? '' };
}

onRealKafka('a trace on real Kafka', () => {
  it('goes from the producer through a worker, what it sends and its dead letters, to the next worker', async () => {
    const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
    const [input, out, dead] = [name('in'), name('out'), name('dead')];
    const admin = cluster.admin({ clock: systemClock, logger: quiet });
    await admin.connect(connect);
    for (const topic of [input, out, dead]) await admin.createTopic(topic, { partitions: 1 });
    const producer = cluster.producer({ clock: systemClock, logger: quiet });
    await producer.connect(connect);
    const [sent, failing, first, last] = [produced(), produced(), produced(), produced()];
    const headers = (...values: readonly string[]) => values.map((value) => ['traceparent', value] as const);
    for (const [value, all] of [
      ['sent', headers(sent.traceparent)],
      ['fails', headers(failing.traceparent)],
      ['several', headers(first.traceparent, last.traceparent)],
      ['malformed', headers('00-nonsense')],
      ['none', headers()],
    ] as const)
      await producer.send({ topic: input, value, headers: all });

    const handler: Handler<Buffer | null, Buffer | null, object> = ({ value }, { send }) => {
      if (String(value) === 'fails') throw new Error('no');
      send({ topic: out, value });
    };
    const plugins = () => [tracing({ tracerProvider })];
    const seen: string[] = [];
    const one = workerOn([input], { name: 'one', handler, onFailure: deadLetter({ topic: dead }), plugins: plugins() });
    const two = workerOn([out, dead], {
      name: 'two',
      handler: ({ value }) => void seen.push(String(value)),
      plugins: plugins(),
    });
    try {
      await Promise.all([one.start(), two.start()]);
      await until(() => seen.length === 5, 'everything in the second worker');
    } finally {
      await Promise.all([one.stop(), two.stop(), producer.close(5_000)]);
      await admin.close();
    }

    const spansOf = (worker: string) =>
      exporter.getFinishedSpans().filter(({ attributes }) => attributes['kafka_worker.name'] === worker);
    const byOffset = spansOf('one').sort(
      (a, b) => Number(a.attributes['kafka.offset']) - Number(b.attributes['kafka.offset']),
    );
    expect(byOffset.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      sent.spanId,
      failing.spanId,
      last.spanId,
      undefined,
      undefined,
    ]);
    expect(byOffset.map((span) => span.spanContext().traceId).slice(0, 3)).toEqual([
      sent.traceId,
      failing.traceId,
      last.traceId,
    ]);
    const [, failed, ...others] = byOffset;
    const parentsIn = (topic: string): (string | undefined)[] =>
      spansOf('two')
        .filter(({ attributes }) => attributes['messaging.destination.name'] === topic)
        .map(({ parentSpanContext }) => `${parentSpanContext?.traceId}/${parentSpanContext?.spanId}`);
    const placeOf = (span: (typeof byOffset)[number] | undefined): string =>
      `${span?.spanContext().traceId}/${span?.spanContext().spanId}`;
    expect(parentsIn(dead)).toEqual([placeOf(failed)]);
    expect(parentsIn(out)).toEqual([byOffset[0], ...others].map(placeOf));
  }, 120_000);
});

onRealKafka('the statistics of a client on real Kafka', () => {
  it.each([
    ['atLeastOnce', atLeastOnce()],
    ['exactlyOnce', exactlyOnce({ transactionalIdPrefix: 'measured' })],
  ])(
    'are metrics of the consumer and of the producer, broker by broker, once their interval is set: %s',
    async (_name, delivery) => {
      const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
      const [input, out] = [name('in'), name('out')];
      const admin = cluster.admin({ clock: systemClock, logger: quiet });
      await admin.connect(connect);
      for (const topic of [input, out]) await admin.createTopic(topic, { partitions: 1 });
      const producer = cluster.producer({ clock: systemClock, logger: quiet });
      await producer.connect(connect);
      await producer.send({ topic: input, value: 'a' });
      const registry = new Registry();
      const handler: Handler<Buffer | null, Buffer | null, object> = ({ value }, { send }) =>
        send({ topic: out, value });
      const options = { name: 'measured', delivery, handler, plugins: [metrics({ registry })] };
      const worker = workerOn([input], options, { 'statistics.interval.ms': 200 });
      const said = new Map<string, ClientStatistics>();
      worker.on('statistics', (event) => void said.set(event.client, event));
      const hasRtt = (client: string): boolean =>
        said.get(client)?.brokers.some(({ rttMs }) => rttMs !== undefined) === true;
      // The first ones may be of before it is connected.
      const hasReceived = (client: string): boolean => (said.get(client)?.receivedBytes ?? 0) > 0;
      try {
        await worker.start();
        await until(() => hasRtt('consumer') && hasReceived('producer'), 'statistics of both clients');
        const text = await registry.metrics();
        for (const client of ['consumer', 'producer']) {
          for (const metric of ['queue_records', 'queue_bytes', 'sent_bytes_total', 'received_bytes_total'])
            expect(text).toContain(`kafka_worker_client_${metric}{worker="measured",client="${client}"}`);
          expect(hasReceived(client)).toBe(true);
          expect(text).toMatch(
            new RegExp(`client_broker_requests_open\\{worker="measured",client="${client}",broker="\\d+"\\} \\d+`),
          );
        }
      } finally {
        await Promise.all([worker.stop(), producer.close(5_000)]);
        await admin.close();
      }
    },
    120_000,
  );
});
