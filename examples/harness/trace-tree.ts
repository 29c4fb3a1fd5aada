import { type HrTime, SpanStatusCode } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';

const WIDTH = 44;

/** One trace as people read it, of a record that was tried more than once, if there is one: each span below its parent, with what went wrong. */
export function traceTree(spans: readonly ReadableSpan[]): string[] {
  const chosen = [...spans].sort((a, b) => attemptsOf(b) - attemptsOf(a))[0];
  if (chosen === undefined) return [];
  const { traceId } = chosen.spanContext();
  const trace = spans
    .filter((span) => span.spanContext().traceId === traceId)
    .sort((a, b) => msOf(a.startTime) - msOf(b.startTime));
  const linked = spans.filter(({ links }) =>
    links.some(({ context }) => context.spanId === chosen.spanContext().spanId),
  );
  const ids = new Set(trace.map((span) => span.spanContext().spanId));
  const below = (parent: string | undefined, depth: number): string[] =>
    trace
      .filter(({ parentSpanContext: of }) =>
        parent === undefined ? !ids.has(of?.spanId ?? '') : of?.spanId === parent,
      )
      .flatMap((span) => [...linesOf(span, depth), ...below(span.spanContext().spanId, depth + 1)]);
  return [
    `one of ${new Set(spans.map((span) => span.spanContext().traceId)).size} traces, of a record that was tried ${attemptsOf(chosen)} times:`,
    ...below(undefined, 1),
    ...(linked.length === 0 ? [] : ['  in the batches, each a trace of its own that links to it:']),
    ...linked.flatMap((span) => linesOf(span, 2)),
  ];
}

function linesOf(span: ReadableSpan, depth: number): string[] {
  const { name, status, duration, attributes, events } = span;
  const indent = '  '.repeat(depth);
  const place =
    attributes['kafka.offset'] === undefined ? '' : ` ${partitionOf(span)}:${String(attributes['kafka.offset'])}`;
  const size = attributes['messaging.batch.message_count'];
  const records = size === undefined ? '' : `, ${String(size)} ${size === 1 ? 'record' : 'records'}`;
  const outcome = attributes['kafka_worker.outcome'];
  const said = [
    `${msOf(duration).toFixed(1)} ms`,
    ...(outcome === undefined ? [] : [String(outcome)]),
    ...(status.code === SpanStatusCode.ERROR ? [`error: ${status.message}`] : []),
  ];
  return [
    `${`${indent}${name}${place}${records}`.padEnd(WIDTH)}  ${said.join(', ')}`,
    ...events.map((event) => `${indent}  · ${saidOf(event)}`),
  ];
}

function saidOf({ name, attributes }: ReadableSpan['events'][number]): string {
  const afterMs = attributes?.['kafka_worker.retry.after_ms'];
  if (afterMs !== undefined) return `tried again after ${Math.round(Number(afterMs))} ms`;
  const message = attributes?.['exception.message'];
  return message === undefined ? name : `${name}: ${String(message)}`;
}

function partitionOf({ attributes }: ReadableSpan): string {
  return String(attributes['messaging.destination.partition.id']);
}

function attemptsOf({ attributes }: ReadableSpan): number {
  return Number(attributes['kafka_worker.attempts'] ?? 1);
}

function msOf([seconds, nanoseconds]: HrTime): number {
  return seconds * 1_000 + nanoseconds / 1e6;
}
