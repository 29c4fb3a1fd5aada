import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { tracing, watchedExporter } from '@kafka-worker/observability';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { OtlpReceiver } from './otlp-receiver.ts';

describe("OpenTelemetry's own exporter, watched", () => {
  it.each([
    ['refuses', 400, /^tracing: an export of spans failed: Bad Request$/],
    ['never answers', 'nothing', /^tracing: an export of spans has not answered for 50 ms$/],
  ] as const)('has the worker tell when the collector %s, and keeps it from nothing', async (_how, answer, told) => {
    await using receiver = await OtlpReceiver.open(answer);
    const otlp = new OTLPTraceExporter({ url: `${receiver.url}/v1/traces`, timeoutMillis: 1_000 });
    const exporter = watchedExporter(otlp, { slowAfterMs: 50 });
    const processor = new BatchSpanProcessor(exporter, { scheduledDelayMillis: 10, exportTimeoutMillis: 500 });
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [processor] });
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([{ topic: 't', value: 'a' }]);
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', logger: quiet, handler: () => {} },
      plugins: [tracing({ tracerProvider, exporter })],
    });
    const errors: string[] = [];
    worker.on('error', ({ error }) => void errors.push(error.message));
    await worker.start();
    while (errors.length === 0) await sleep(5);
    expect(errors[0]).toMatch(told);
    expect(await worker.stop()).toMatchObject({ state: 'stopped', handled: 1 });
    await processor.shutdown().catch(() => {});
  });
});
