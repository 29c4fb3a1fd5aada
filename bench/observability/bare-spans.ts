import type { Headers, ReceivedRecord } from '@kafka-worker/core';
import { context, ROOT_CONTEXT, SpanKind, type TextMapGetter, trace } from '@opentelemetry/api';
import { costSince, type RunCost } from './replayed-run.ts';
import { newTracerProvider, propagator } from './tracer-providers.ts';

const getter: TextMapGetter<Headers> = {
  get: (headers, name) => headers.get(name)?.toString(),
  keys: (headers) => Array.from(headers, ([name]) => name),
};

/** What somebody writes who traces records by hand: extract, start, `context.with`, end, with the attributes of the conventions. */
export async function bareSpans(records: readonly ReceivedRecord[], handler: () => Promise<void>): Promise<RunCost> {
  const tracer = newTracerProvider().getTracer('bench');
  return measured(records, async (record) => {
    const producer = propagator.extract(ROOT_CONTEXT, record.headers, getter);
    const span = tracer.startSpan(
      `process ${record.topic}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: {
          'messaging.system.name': 'kafka',
          'messaging.operation.name': 'process',
          'messaging.operation.type': 'process',
          'messaging.destination.name': record.topic,
          'messaging.destination.partition.id': String(record.partition),
          'messaging.consumer.group.name': 'bench',
          'kafka.offset': record.offset,
        },
      },
      producer,
    );
    await context.with(trace.setSpan(producer, span), handler);
    span.end();
  });
}

/** The same loop without any of it. */
export async function bareCalls(records: readonly ReceivedRecord[], handler: () => Promise<void>): Promise<RunCost> {
  return measured(records, async () => {
    await handler();
  });
}

async function measured(
  records: readonly ReceivedRecord[],
  handle: (record: ReceivedRecord) => Promise<void>,
): Promise<RunCost> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  for (const record of records) await handle(record);
  return costSince(startedAt, cpuBefore, records.length);
}
