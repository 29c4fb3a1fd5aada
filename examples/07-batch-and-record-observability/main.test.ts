import { expect, it } from '@jest/globals';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { describeExample, endsOf } from '../harness/describe-example.ts';
import { seeded } from '../harness/example-topic.ts';
import type { HandlerCall } from '../harness/handler-calls.ts';
import { idOf, ObservedRun, parentOf, placeOf } from '../harness/observed-run.ts';
import { open } from './main.ts';

const { records, partitions } = seeded;
const fail = [{ partition: 1, offset: 5 }];
const madeToFail = 'made to fail by --fail';
const noAnswer = 'the database did not answer';

describeExample('07', open, (run) => {
  it('handles every record in batches of one partition each, in its order, and commits to the end', async () => {
    const seen = new ObservedRun(open);
    const { summary, calls } = await run({}, seen.open);
    expect(summary).toMatchObject({ records, handled: records, failed: 0, order: { partition: true, key: true } });
    expect(summary.maxConcurrent).toBeLessThanOrEqual(partitions);
    expect(summary.committed).toEqual(endsOf(calls));
    const sizes = [...batchesOf(calls).values()].map((batch) => batch.length);
    expect(Math.max(...sizes)).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20);
    for (const batch of batchesOf(calls).values())
      expect(new Set(batch.map(({ partition }) => partition)).size).toBe(1);
  });

  it('has a span for each call, linked to the spans of its records, each of which is a child of what produced it', async () => {
    const seen = new ObservedRun(open);
    const { calls } = await run({ fail }, seen.open);
    const [batches, processed] = bothOf(seen);
    const byId = new Map(processed.map((span) => [idOf(span), span]));
    expect(processed).toHaveLength(records);
    expect(new Set(processed.map(parentOf))).toEqual(new Set(seen.spans('send').map(idOf)));
    const linked = batches.map(({ kind, links, parentSpanContext, attributes }) => {
      expect({ kind, parentSpanContext }).toEqual({ kind: SpanKind.CONSUMER, parentSpanContext: undefined });
      expect(attributes['messaging.batch.message_count']).toBe(links.length);
      return links.map(({ context }) => {
        const record = byId.get(`${context.traceId}/${context.spanId}`);
        return record === undefined ? 'none' : placeOf(record);
      });
    });
    const called = [...batchesOf(calls).values()].map((batch) => batch.map((one) => `${one.partition}:${one.offset}`));
    expect(linked.map(String).sort()).toEqual(called.map(String).sort());
    const ids = new Set(batches.map(idOf));
    const stored = seen.spans('store');
    expect(stored).toHaveLength(batches.length);
    expect(stored.filter((span) => !ids.has(parentOf(span) ?? ''))).toEqual([]);
  });

  it('has a call that fails as an error on its own span, and a record that fails alone on its own', async () => {
    const seen = new ObservedRun(open);
    const { summary, calls } = await run({ fail }, seen.open);
    expect(summary).toMatchObject({ records, handled: records - 1, failed: 1 });
    const [batches, processed] = bothOf(seen);
    const failed = batches.filter(({ status }) => status.code !== SpanStatusCode.UNSET);
    expect(failed.map(({ status, attributes }) => [status.message, attributes['error.type']])).toEqual([
      [noAnswer, 'Error'],
    ]);
    const links = new Set(failed[0]?.links.map(({ context }) => `${context.traceId}/${context.spanId}`));
    expect(links.size).toBeGreaterThan(1);
    expect(processed).toHaveLength(records);
    for (const span of processed) {
      const exceptions = span.events
        .filter(({ name }) => name === 'exception')
        .map((one) => one.attributes?.['exception.message']);
      const inFailed = links.has(idOf(span)) ? [noAnswer] : [];
      // Every failure but the last one of a record that is given up is followed by another attempt.
      expect(span.events.filter(({ name }) => name === 'kafka_worker.retry')).toHaveLength(
        placeOf(span) === '1:5' ? 2 : inFailed.length,
      );
      if (placeOf(span) === '1:5') {
        expect(exceptions.slice(inFailed.length)).toEqual(
          Array.from({ length: 3 - inFailed.length }, () => madeToFail),
        );
        expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: madeToFail });
        expect(span.attributes).toMatchObject({ 'kafka_worker.outcome': 'skipped', 'kafka_worker.attempts': 3 });
      } else {
        expect(exceptions).toEqual(inFailed);
        expect(span.status).toEqual({ code: SpanStatusCode.UNSET });
        expect(span.attributes['kafka_worker.outcome']).toBe('handled');
      }
    }
    expect(calls.filter(({ partition, offset }) => partition === 1 && offset === 5)).toHaveLength(3);
  });

  it('counts calls and records, and writes lines of both, each with its trace', async () => {
    const seen = new ObservedRun(open);
    const { summary, calls } = await run({ fail }, seen.open);
    const [batches] = bothOf(seen);
    const of = `topic="${summary.topic}"`;
    const metrics = Object.fromEntries(await seen.metrics());
    expect(metrics).toMatchObject({
      'kafka_worker_batch_duration_seconds_count{}': batches.length,
      'kafka_worker_batch_records_total{}': calls.length,
      [`kafka_worker_records_total{${of},outcome="handled"}`]: records - 1,
      [`kafka_worker_records_total{${of},outcome="skipped"}`]: 1,
      [`kafka_worker_handler_failures_total{${of},decision="skip"}`]: 1,
    });
    const retries = seen.linesOf('handler failed, record is tried again');
    expect(metrics[`kafka_worker_handler_failures_total{${of},decision="retry"}`]).toBe(retries.length);
    const messages = new Set(retries.map(({ error }) => (error as Error).message));
    expect(messages).toEqual(new Set([noAnswer, madeToFail]));
    const processed = new Set(bothOf(seen)[1].map(idOf));
    for (const { traceId, spanId } of [...retries, ...seen.linesOf('handler failed, record is skipped')])
      expect(processed).toContain(`${String(traceId)}/${String(spanId)}`);
    const whole = retries.find(({ error }) => (error as Error).message === noAnswer);
    expect(whole?.records).toBe(batches.find(({ status }) => status.message === noAnswer)?.links.length);
    expect(seen.linesOf('handler failed, record is skipped')).toEqual([
      expect.objectContaining({ level: 'error', topic: summary.topic, partition: 1, offset: 5, attempt: 3 }),
    ]);
    const stored = seen.linesOf('orders stored');
    const good = batches.filter(({ status }) => status.code === SpanStatusCode.UNSET);
    expect(new Set(stored.map(({ traceId, spanId }) => `${String(traceId)}/${String(spanId)}`))).toEqual(
      new Set(good.map(idOf)),
    );
    expect(stored.reduce((sum, { orders }) => sum + Number(orders), 0)).toBe(
      good.reduce((sum, { links }) => sum + links.length, 0),
    );
  });
});

/** The spans of calls, and those of records: both are called `process`. */
function bothOf(seen: ObservedRun) {
  const all = seen.spans('process');
  const isBatch = (span: (typeof all)[number]): boolean => 'messaging.batch.message_count' in span.attributes;
  return [all.filter(isBatch), all.filter((span) => !isBatch(span))] as const;
}

function batchesOf(calls: readonly HandlerCall[]): ReadonlyMap<number, readonly HandlerCall[]> {
  const batches = new Map<number, HandlerCall[]>();
  for (const call of calls) batches.set(call.batch ?? -1, [...(batches.get(call.batch ?? -1) ?? []), call]);
  return batches;
}
