import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type BatchHandler,
  type Deserializer,
  type Handler,
  json,
  type Plugin,
  Worker,
  type WorkerOptions,
} from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezePartition, perKey, retry, skip, stop } from '@kafka-worker/strategies';
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, type TracerProvider, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { recordHeaders } from './header-carrier.ts';
import { tracing } from './tracing.ts';
import type { TracingOptions } from './tracing-options.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PRODUCER = 'b7ad6b7169203331';
const traceparent = `00-${TRACE}-${PRODUCER}-01`;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const propagator = new W3CTraceContextPropagator();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => {
  context.disable();
});
afterEach(() => {
  exporter.reset();
});

interface Message {
  readonly key?: string;
  readonly value?: string | null;
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
}

function clusterWith(...messages: readonly Message[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 }, dead: { partitions: 1 } } });
  kafka.send(messages.map(({ value = 'v', ...rest }) => ({ topic: 't', value, ...rest })));
  return kafka;
}

interface Run {
  readonly handler?: Handler<Buffer | null, Buffer | null, object>;
  readonly batchHandler?: BatchHandler<Buffer | null, Buffer | null, object>;
  readonly onFailure?: WorkerOptions['onFailure'];
  readonly value?: Deserializer<unknown>;
  readonly tracing?: TracingOptions;
  readonly plugins?: readonly Plugin[];
  readonly errors?: Error[];
  /** Before the worker is stopped. */
  readonly then?: (worker: Worker) => Promise<void>;
}

/** Runs a worker over what the topic holds, and gives the spans that ended. */
async function traced(kafka: FakeKafka, run: Run): Promise<ReadableSpan[]> {
  const { handler, batchHandler, onFailure = stop(), errors = [], then } = run;
  const plugin = tracing({ tracerProvider, propagator, ...run.tracing });
  const worker = new Worker({
    ...{ kafka, groupId: 'g', name: 'w', topics: 't', clock: kafka.clock, logger: quiet, onFailure },
    ...{ concurrency: perKey({ concurrency: 10 }), plugins: [plugin, ...(run.plugins ?? [])] },
    ...(run.value !== undefined && { value: run.value }),
    ...(batchHandler === undefined ? { handler: handler ?? (() => {}) } : { batchHandler }),
  } as WorkerOptions);
  worker.finished.catch(() => {});
  worker.on('error', ({ error }) => void errors.push(error));
  const starting = worker.start();
  await kafka.clock.advance(10);
  await starting;
  await kafka.clock.advance(60_000);
  await then?.(worker);
  const stopping = worker.stop({ timeoutMs: 1_000 });
  await kafka.clock.advance(60_000);
  await stopping;
  return exporter.getFinishedSpans();
}

const failing =
  (times: number, error: unknown = new TypeError('no')): (() => void) =>
  () => {
    if (times-- > 0) throw error;
  };

describe('the span of a record', () => {
  it('is a child of what produced the record, and says by the conventions where it was', async () => {
    const kafka = clusterWith({ headers: { traceparent, tracestate: 'a=1' } }, { value: null });
    const [first, second, ...rest] = await traced(kafka, {});
    expect(rest).toEqual([]);
    expect(first).toMatchObject({
      ...{ name: 'process t', kind: SpanKind.CONSUMER, links: [], events: [], status: { code: SpanStatusCode.UNSET } },
      parentSpanContext: { traceId: TRACE, spanId: PRODUCER, isRemote: true },
    });
    expect(first?.spanContext().traceId).toBe(TRACE);
    expect(first?.spanContext().traceState?.serialize()).toBe('a=1');
    expect(first?.attributes).toEqual({
      'messaging.system.name': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 't',
      'messaging.destination.partition.id': '0',
      'messaging.consumer.group.name': 'g',
      'kafka.offset': 0,
      'kafka_worker.name': 'w',
      'kafka_worker.outcome': 'handled',
    });
    expect(second?.attributes).toMatchObject({ 'kafka.message.tombstone': true, 'kafka.offset': 1 });
    expect(second?.parentSpanContext).toBeUndefined();
  });

  it('is linked to what produced the record, in a trace of its own, where that is wanted', async () => {
    const [span] = await traced(clusterWith({ headers: { traceparent } }), { tracing: { relation: 'link' } });
    expect(span?.parentSpanContext).toBeUndefined();
    expect(span?.spanContext().traceId).not.toBe(TRACE);
    expect(span?.links).toMatchObject([{ context: { traceId: TRACE, spanId: PRODUCER } }]);
  });

  it('begins a trace where the headers say nothing that can be understood, and takes the last of several', async () => {
    const other = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const kafka = clusterWith(
      { headers: { traceparent: 'nonsense' } },
      { headers: [['traceparent', '00-zz']] },
      {
        headers: [
          ['traceparent', other],
          ['traceparent', traceparent],
        ],
      },
      {
        headers: [
          ['traceparent', traceparent],
          ['traceparent', ''],
        ],
      },
    );
    const spans = await traced(kafka, {});
    expect(spans.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      undefined,
      undefined,
      PRODUCER,
      undefined,
    ]);
  });

  it('is active in the handler, also behind its awaits', async () => {
    const active: (string | undefined)[] = [];
    const note = (): void => void active.push(trace.getSpan(context.active())?.spanContext().spanId);
    const handler = async (): Promise<void> => {
      note();
      await Promise.resolve();
      note();
    };
    const [span] = await traced(clusterWith({}), { handler });
    expect(active).toEqual([span?.spanContext().spanId, span?.spanContext().spanId]);
  });

  it('tells of failed calls and retries, and is none of an error when the record is handled in the end', async () => {
    const onFailure = retry({ maxAttempts: 3, backoff: { initialMs: 500, jitter: 0 }, then: stop() });
    const [span, ...rest] = await traced(clusterWith({}), { handler: failing(2), onFailure });
    expect(rest).toEqual([]);
    expect(span?.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(span?.attributes).toMatchObject({ 'kafka_worker.attempts': 3, 'kafka_worker.outcome': 'handled' });
    expect(span?.events).toMatchObject([
      { name: 'exception', attributes: { 'exception.type': 'TypeError', 'exception.message': 'no' } },
      { name: 'kafka_worker.retry', attributes: { 'kafka_worker.attempt': 1, 'kafka_worker.retry.after_ms': 500 } },
      { name: 'exception' },
      { name: 'kafka_worker.retry', attributes: { 'kafka_worker.attempt': 2 } },
    ]);
  });

  it.each([
    ['skipped', skip(), 'skipped'],
    ['dead-lettered', deadLetter({ topic: 'dead' }), 'dead-lettered'],
    ['frozen', freezePartition(), 'frozen'],
    ['stopped', stop(), 'stopped'],
  ])('is an error when its record is %s', async (_what, onFailure, outcome) => {
    const [span, ...rest] = await traced(clusterWith({}), { handler: failing(1), onFailure });
    expect(rest).toEqual([]);
    expect(span?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no' });
    expect(span?.attributes).toMatchObject({ 'error.type': 'TypeError', 'kafka_worker.outcome': outcome });
  });

  it('is there also for a record that cannot be decoded, which is no tombstone', async () => {
    const kafka = clusterWith({ value: '{' });
    const errors: Error[] = [];
    const handler: Handler<Buffer | null, Buffer | null, object> = ({ value }) => void value;
    const [span] = await traced(kafka, { handler, value: json(), onFailure: skip(), errors });
    expect(errors).toEqual([]);
    expect(span?.attributes).toMatchObject({ 'error.type': 'DeserializationError', 'kafka_worker.outcome': 'skipped' });
    expect(span?.attributes).not.toHaveProperty('kafka.message.tombstone');
  });

  it.each([
    ['the deserializer', json()],
    ['the handler', undefined],
  ])('says nothing of the value that %s could not read', async (_who, deserializer) => {
    const value = 'x 4111 1111';
    const handler: Handler<Buffer | null, Buffer | null, object> = (record) => void JSON.parse(String(record.value));
    const run = { handler, onFailure: skip(), ...(deserializer && { value: deserializer }) };
    const [span] = await traced(clusterWith({ value }), run);
    expect(span?.status.message).toContain('[redacted] is not valid JSON');
    expect(span?.events[0]?.attributes).toMatchObject({ 'exception.stacktrace': expect.stringContaining('    at ') });
    expect(JSON.stringify([span?.events, span?.status])).not.toContain('4111');
  });

  it('ends without an error when its record is left to another one', async () => {
    const onFailure = retry({ maxElapsedMs: 1e9, backoff: { initialMs: 500_000, maxMs: 500_000 }, then: stop() });
    const [span, ...rest] = await traced(clusterWith({}), { handler: failing(1), onFailure });
    expect(rest).toEqual([]);
    expect(span?.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(span?.attributes).toMatchObject({ 'kafka_worker.outcome': 'left' });
  });

  it('ends when its partition goes on from elsewhere: nothing will become of its record here', async () => {
    const kafka = clusterWith({ key: 'k' }, { key: 'k' });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let calls = 0;
    const handler = async (): Promise<void> => {
      if (++calls === 1) await held;
    };
    let outcomes: unknown[] = [];
    const then = async (worker: Worker): Promise<void> => {
      const seeking = worker.seek({ topic: 't', partition: 0 }, 1);
      await kafka.clock.advance(1_000);
      await seeking;
      release();
      await kafka.clock.advance(1_000);
      outcomes = exporter.getFinishedSpans().map(({ attributes }) => attributes['kafka_worker.outcome']);
    };
    await traced(kafka, { handler, then });
    expect(outcomes).toEqual(['left', 'handled']);
  });

  it('of a frozen record is another one when it is tried again', async () => {
    const kafka = clusterWith({});
    const then = async (worker: Worker): Promise<void> => {
      await worker.unfreeze({ topic: 't', partition: 0 });
      await kafka.clock.advance(1_000);
    };
    const spans = await traced(kafka, { handler: failing(1), onFailure: freezePartition(), then });
    expect(spans.map(({ attributes }) => attributes['kafka_worker.outcome'])).toEqual(['frozen', 'handled']);
  });

  it('says what was thrown when that is no Error', async () => {
    const unspeakable = Object.create(null) as object;
    const kafka = clusterWith({ key: 'a' }, { key: 'b' });
    let calls = 0;
    const handler = (): void => {
      throw calls++ === 0 ? 'text' : unspeakable;
    };
    const spans = await traced(kafka, { handler, onFailure: skip() });
    expect(spans.map(({ status }) => status.message)).toEqual(['text', 'object']);
  });
});

describe('what a handler sends', () => {
  it('carries on the span of its record, or one that the handler made inside it', async () => {
    const kafka = clusterWith({ headers: { traceparent } });
    const handler: Handler<unknown, unknown, object> = async (_record, { send }) => {
      send({ topic: 'out', value: '1', headers: { traceparent: 'old', other: 'kept' } });
      await tracerProvider.getTracer('mine').startActiveSpan('inner', async (inner) => {
        await Promise.resolve();
        send({ topic: 'out', value: '2' });
        inner.end();
      });
    };
    const spans = await traced(kafka, { handler });
    const idOf = (name: string): string => spans.find((span) => span.name === name)?.spanContext().spanId ?? '';
    const headers = kafka
      .records('out')
      .map((record) => Array.from(record.headers, ([name, value]) => `${name}: ${value}`));
    expect(headers).toEqual([
      ['other: kept', `traceparent: 00-${TRACE}-${idOf('process t')}-01`],
      [`traceparent: 00-${TRACE}-${idOf('inner')}-01`],
    ]);
  });

  it('that passes the headers of its record on has no state of another trace beside its own', async () => {
    const message = { headers: { traceparent, tracestate: 'a=1', baggage: 'b=2' } };
    const kafka = clusterWith(message);
    const handler: Handler<unknown, unknown, object> = ({ headers }, { send }) => {
      send({ topic: 'out', value: '1', headers: [...headers] });
    };
    await traced(kafka, { handler, tracing: { relation: 'link' } });
    const [sent] = kafka.records('out');
    expect(Array.from(sent?.headers ?? [], ([name]) => name)).toEqual(['baggage', 'traceparent']);
    const same = clusterWith(message);
    await traced(same, { handler });
    expect(same.records('out')[0]?.headers.getAll('tracestate').map(String)).toEqual(['a=1']);
  });

  it('when it is a dead letter has all that its record had, and behind it what counts', async () => {
    const kafka = clusterWith({ headers: { traceparent } });
    const [span] = await traced(kafka, { handler: failing(1), onFailure: deadLetter({ topic: 'dead' }) });
    const [letter] = kafka.records('dead');
    expect(letter?.headers.getAll('traceparent').map(String)).toEqual([
      traceparent,
      `00-${TRACE}-${span?.spanContext().spanId}-01`,
    ]);
  });

  it('when it is a dead letter of another trace leaves the state of its record’s trace behind', async () => {
    const kafka = clusterWith({ headers: { traceparent, tracestate: 'a=1' } });
    const onFailure = deadLetter({ topic: 'dead' });
    await traced(kafka, { handler: failing(1), onFailure, tracing: { relation: 'link' } });
    const letter = kafka.records('dead')[0];
    expect(letter?.headers.getAll('tracestate').map(String)).toEqual(['a=1', '']);
    const read = propagator.extract(ROOT_CONTEXT, letter?.headers, recordHeaders);
    expect(trace.getSpanContext(read)?.traceState?.serialize() ?? '').toBe('');
  });

  it('goes on in the next worker', async () => {
    const kafka = clusterWith({ headers: { traceparent } });
    await traced(kafka, {
      handler: (_record, { send }) => send({ topic: 't', value: 'again', headers: { last: '1' } }),
      then: async (worker) => {
        await worker.stop();
      },
    });
    const spans = exporter.getFinishedSpans();
    expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE]));
    expect(spans.length).toBeGreaterThan(1);
    expect(spans[1]?.parentSpanContext?.spanId).toBe(spans[0]?.spanContext().spanId);
  });
});

describe('the span of a batch', () => {
  const batchOf = clusterWith.bind(undefined, { key: 'k', headers: { traceparent } }, { key: 'k' });

  it('is linked to the spans of its records, and active in the handler', async () => {
    let active: string | undefined;
    const batchHandler = (): void => {
      active = trace.getSpan(context.active())?.spanContext().spanId;
    };
    const spans = await traced(batchOf(), { batchHandler });
    const batch = spans.find(({ attributes }) => 'messaging.batch.message_count' in attributes);
    const records = spans.filter((span) => span !== batch);
    expect(records.map(({ attributes }) => attributes['kafka.offset'])).toEqual([0, 1]);
    expect(records[0]?.parentSpanContext?.spanId).toBe(PRODUCER);
    expect(batch?.links.map(({ context: { spanId } }) => spanId)).toEqual(
      records.map((span) => span.spanContext().spanId),
    );
    expect(batch?.attributes).toMatchObject({
      'messaging.batch.message_count': 2,
      'messaging.destination.name': 't',
      'kafka_worker.attempt': 1,
    });
    expect([batch?.parentSpanContext, active]).toEqual([undefined, batch?.spanContext().spanId]);
  });

  it('alone is linked to what produced its records', async () => {
    const spans = await traced(batchOf(), { batchHandler: () => {}, tracing: { spanPer: 'batch' } });
    expect(spans).toHaveLength(1);
    expect(spans[0]?.links.map(({ context: { spanId } }) => spanId)).toEqual([PRODUCER]);
  });

  it('is left out where only records have spans', async () => {
    const spans = await traced(batchOf(), { batchHandler: () => {}, tracing: { spanPer: 'record' } });
    expect(spans.map(({ attributes }) => attributes['kafka.offset'])).toEqual([0, 1]);
  });

  it('is an error when its call fails, and tells its records of it', async () => {
    const onFailure = retry({ maxAttempts: 2, backoff: { initialMs: 100 }, then: stop() });
    const spans = await traced(batchOf(), { batchHandler: failing(1), onFailure });
    const batches = spans.filter(({ attributes }) => 'messaging.batch.message_count' in attributes);
    expect(batches.map(({ status, attributes }) => [status.code, attributes['kafka_worker.attempt']])).toEqual([
      [SpanStatusCode.ERROR, 1],
      [SpanStatusCode.UNSET, 2],
    ]);
    const records = spans.filter((span) => !batches.includes(span));
    expect(records.map(({ events, status }) => [...events.map(({ name }) => name), status.code])).toEqual([
      ['exception', 'kafka_worker.retry', SpanStatusCode.UNSET],
      ['exception', 'kafka_worker.retry', SpanStatusCode.UNSET],
    ]);
  });

  it.each([
    ['frozen', freezePartition()],
    ['stopped', stop()],
    ['skipped', skip()],
  ])('that fails has each of its records %s, and not the first alone', async (outcome, onFailure) => {
    const spans = await traced(batchOf(), { batchHandler: failing(1), onFailure });
    const records = spans.filter(({ attributes }) => 'kafka.offset' in attributes);
    expect(records.map(({ attributes, status }) => [attributes['kafka_worker.outcome'], status.message])).toEqual([
      [outcome, 'no'],
      [outcome, 'no'],
    ]);
  });

  it('has one record fail alone, which has an error of its own', async () => {
    const batchHandler: BatchHandler<Buffer | null, Buffer | null, object> = (records, { fail }) => {
      const [first] = records;
      if (first !== undefined) fail(first, new RangeError('that one'));
    };
    const spans = await traced(batchOf(), { batchHandler, onFailure: skip() });
    const ofRecord = (offset: number): ReadableSpan | undefined =>
      spans.find(({ attributes }) => attributes['kafka.offset'] === offset);
    expect(ofRecord(0)).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: 'that one' },
      attributes: { 'error.type': 'RangeError' },
    });
    expect(ofRecord(1)).toMatchObject({ status: { code: SpanStatusCode.UNSET } });
  });

  it('is one for each call of a handler, too', async () => {
    const onFailure = retry({ maxAttempts: 2, backoff: { initialMs: 100 }, then: stop() });
    const spans = await traced(clusterWith({ headers: { traceparent } }), {
      handler: failing(1),
      onFailure,
      tracing: { spanPer: 'both' },
    });
    const batches = spans.filter(({ attributes }) => 'messaging.batch.message_count' in attributes);
    expect([batches.length, spans.length]).toEqual([2, 3]);
  });
});

describe('tracing that goes wrong', () => {
  const broken = (method: string): TracerProvider => ({
    getTracer: () =>
      new Proxy(tracerProvider.getTracer('t'), {
        get: (target, name) => {
          if (name === method)
            return () => {
              throw new Error(`${method} is broken`);
            };
          const startSpan = target.startSpan.bind(target);
          return (...given: Parameters<typeof startSpan>) => {
            const span = startSpan(...given);
            return Object.assign(span, {
              [method]: () => {
                throw new Error(`${method} is broken`);
              },
            });
          };
        },
      }),
  });

  it.each(['startSpan', 'end', 'setAttribute', 'recordException', 'addEvent', 'spanContext'])(
    'fails no record, and is told once: %s',
    async (method) => {
      const kafka = clusterWith({ key: 'a' }, { key: 'b' }, { key: 'c' });
      const errors: Error[] = [];
      const onFailure = retry({ maxAttempts: 2, backoff: { initialMs: 100 }, then: stop() });
      let handled = 0;
      const handler: Handler<unknown, unknown, object> = (_record, { attempt, send }) => {
        if (attempt === 1) throw new Error('again');
        handled++;
        send({ topic: 'out', value: 'x' });
      };
      await traced(kafka, { handler, onFailure, errors, tracing: { tracerProvider: broken(method) } });
      expect([handled, kafka.committed('g', 't').get(0), kafka.records('out').length]).toEqual([3, 3, 3]);
      expect(errors.map(({ message }) => message)).toEqual([`tracing: ${method} is broken`]);
    },
  );

  it.each(['extract', 'inject'] as const)('fails no record, and is told: %s of the propagator', async (method) => {
    const bad = Object.assign(new W3CTraceContextPropagator(), {
      [method]: () => {
        throw new Error(`${method} is broken`);
      },
    });
    const kafka = clusterWith({});
    const errors: Error[] = [];
    await traced(kafka, {
      handler: (_record, { send }) => send({ topic: 'out', value: 'x' }),
      errors,
      tracing: { propagator: bad },
    });
    expect([kafka.committed('g', 't').get(0), kafka.records('out').length]).toEqual([1, 1]);
    expect(errors.map(({ message }) => message)).toEqual([`tracing: ${method} is broken`]);
  });

  it('is refused where it is given to a second worker', async () => {
    const kafka = clusterWith({});
    const plugin = tracing({ tracerProvider });
    const workerOf = (groupId: string): Worker =>
      new Worker({ kafka, groupId, topics: 't', clock: kafka.clock, handler: () => {}, plugins: [plugin] });
    const [first, second] = [workerOf('a'), workerOf('b')];
    const starting = first.start();
    await kafka.clock.advance(10);
    await starting;
    await expect(second.start()).rejects.toThrow('tracing() is for one worker');
    const stopping = first.stop();
    await kafka.clock.advance(1_000);
    await stopping;
  });
});

describe('the options of tracing', () => {
  it.each([
    [{ tracerProvider: {} }, 'tracerProvider'],
    [{ propagator: { extract() {} } }, 'propagator'],
    [{ spanPer: 'call' }, 'spanPer'],
    [{ relation: 'child' }, 'relation'],
    [{ tracer: {} }, 'tracer'],
    [null, 'options'],
  ])('are refused when they are none: %j', (options, option) => {
    expect(() => tracing(options as TracingOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(option) }),
    );
  });

  it('are none when OpenTelemetry is registered: without it nothing is traced, and nothing is lost', async () => {
    const kafka = clusterWith({ headers: { traceparent } });
    const worker = new Worker({
      kafka,
      groupId: 'g',
      topics: 't',
      clock: kafka.clock,
      logger: quiet,
      handler: () => {},
      plugins: [tracing()],
    });
    const starting = worker.start();
    await kafka.clock.advance(10);
    await starting;
    const stopping = worker.stop();
    await kafka.clock.advance(1_000);
    expect(await stopping).toMatchObject({ handled: 1 });
    expect(exporter.getFinishedSpans()).toEqual([]);
  });
});
