import { expect, it } from '@jest/globals';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { describeExample, endsOf, failuresOf } from '../harness/describe-example.ts';
import { seeded } from '../harness/example-topic.ts';
import { idOf, ObservedRun, parentOf, placeOf, samplesOf } from '../harness/observed-run.ts';
import { open } from './main.ts';

const { records } = seeded;
const fail = [{ partition: 1, offset: 5 }];
/** Orders 50 and 250, which fail once each. */
const RETRIED = 2;

describeExample('06', open, (run) => {
  it('handles every record, keys at the same time and each in its order, and commits to the end', async () => {
    const { summary, calls } = await run({}, new ObservedRun(open).open);
    expect(summary).toMatchObject({ records, handled: records, failed: 0, order: { key: true } });
    expect(summary.committed).toEqual(endsOf(calls));
    expect(calls).toHaveLength(records + RETRIED);
    expect(summary.result).toEqual({ spans: 3 * records + RETRIED, spansWithError: RETRIED });
  });

  it('has a span for each record, child of what produced it and parent of what its handler does, with its failures and what became of it', async () => {
    const seen = new ObservedRun(open);
    const { summary, calls } = await run({ fail }, seen.open);
    expect(summary).toMatchObject({ records, handled: records - 1, failed: 1 });
    const [sent, processed, charged] = [seen.spans('send'), seen.spans('process'), seen.spans('charge')];
    // The one that is made to fail never comes as far as the handler.
    expect([sent.length, processed.length, charged.length]).toEqual([records, records, records - 1 + RETRIED]);
    expect(new Set(processed.map(placeOf)).size).toBe(records);
    expect(new Set(processed.map(parentOf))).toEqual(new Set(sent.map(idOf)));
    const ids = new Set(processed.map(idOf));
    expect(charged.filter((span) => !ids.has(parentOf(span) ?? ''))).toEqual([]);
    expect(charged.filter(({ status }) => status.code === SpanStatusCode.ERROR)).toHaveLength(RETRIED);
    for (const span of processed) expect(span.kind).toBe(SpanKind.CONSUMER);

    const retried = new Set(failuresOf(calls).map(({ partition, offset }) => `${partition}:${offset}`));
    expect(retried.size).toBe(RETRIED + fail.length);
    for (const span of processed) {
      const { status, attributes, events } = span;
      const told = {
        status,
        outcome: attributes['kafka_worker.outcome'],
        attempts: attributes['kafka_worker.attempts'],
        events: events.map(({ name, attributes: said }) => said?.['exception.message'] ?? name),
      };
      if (placeOf(span) === '1:5') {
        const why = 'made to fail by --fail';
        const retry = 'kafka_worker.retry';
        expect(told).toEqual({
          ...{ status: { code: SpanStatusCode.ERROR, message: why }, outcome: 'skipped', attempts: 3 },
          events: [why, retry, why, retry, why],
        });
      } else if (retried.has(placeOf(span)))
        expect(told).toEqual({
          ...{ status: { code: SpanStatusCode.UNSET }, outcome: 'handled', attempts: 2 },
          events: ['the payment service did not answer', 'kafka_worker.retry'],
        });
      else expect(told).toEqual({ status: { code: SpanStatusCode.UNSET }, outcome: 'handled', events: [] });
    }
  });

  it('counts what became of records and of calls that failed, and how long they took', async () => {
    const seen = new ObservedRun(open);
    const { summary, calls } = await run({ fail }, seen.open);
    const of = `topic="${summary.topic}"`;
    const metrics = await seen.metrics();
    expect(Object.fromEntries(metrics)).toMatchObject({
      'kafka_worker_records_received_total{}': records,
      [`kafka_worker_records_total{${of},outcome="handled"}`]: records - 1,
      [`kafka_worker_records_total{${of},outcome="skipped"}`]: 1,
      [`kafka_worker_records_total{${of},outcome="dead-lettered"}`]: 0,
      [`kafka_worker_handler_failures_total{${of},decision="retry"}`]: 2 + RETRIED,
      [`kafka_worker_handler_failures_total{${of},decision="skip"}`]: 1,
      [`kafka_worker_handler_duration_seconds_count{${of}}`]: records,
      'kafka_worker_commit_failures_total{}': 0,
      'kafka_worker_records_in_flight{}': 0,
    });
    expect(failuresOf(calls)).toHaveLength(3 + RETRIED);
    const sum = metrics.get(`kafka_worker_handler_duration_seconds_sum{${of}}`) ?? 0;
    const last = new Map(calls.map((call) => [`${call.partition}:${call.offset}`, call.end - call.start]));
    const measured = [...last.values()].reduce((a, b) => a + b, 0) / 1_000;
    // The worker measures from further outside.
    expect(sum).toBeGreaterThan(measured * 0.9);
  });

  it('writes a line for each failure and for each order, with the trace that it belongs to, and nothing of what records hold', async () => {
    const seen = new ObservedRun(open);
    const { summary } = await run({ fail }, seen.open);
    const { topic, group } = summary;
    const place = { worker: group, topic, partition: 1, offset: 5 };
    const error = expect.objectContaining({ message: 'made to fail by --fail' });
    const tried = seen.linesOf('handler failed, record is tried again');
    expect(tried).toHaveLength(2 + RETRIED);
    for (const attempt of [1, 2])
      expect(tried).toContainEqual(
        expect.objectContaining({ ...place, attempt, error, level: 'warn', afterMs: expect.any(Number) }),
      );
    expect(seen.linesOf('handler failed, record is skipped')).toEqual([
      expect.objectContaining({ ...place, attempt: 3, error, level: 'error' }),
    ]);
    const charged = seen.linesOf('order charged');
    expect(charged).toHaveLength(records - 1);
    const failed = [...tried, ...seen.linesOf('handler failed, record is skipped')];
    const spanOf = new Map(seen.spans('process').map((span) => [placeOf(span), span]));
    for (const { partition, offset, traceId, spanId } of [...charged, ...failed])
      expect(`${String(traceId)}/${String(spanId)}`).toBe(
        idOf(spanOf.get(`${String(partition)}:${String(offset)}`) ?? noSpan()),
      );
    expect(JSON.stringify(seen.lines)).not.toContain('customer-');
    expect(seen.linesOf('worker changes state').map(({ to }) => to)).toEqual(['running', 'draining', 'stopped']);
  });

  it('--metrics-port serves the figures while it runs, those of partitions too, and no longer than that', async () => {
    const seen = new ObservedRun(open);
    let text = '';
    const { summary } = await run({ metricsPort: 0 }, (setup, given) => {
      const looking = {
        name: 'looking',
        aroundRecord: async (_record: unknown, _context: unknown, next: () => Promise<void>) => {
          if (text === '') text = await (await fetch(seen.metricsUrl)).text();
          await next();
        },
      };
      return seen.open({ ...setup, plugins: [...setup.plugins, looking] }, given);
    });
    const samples = samplesOf(text);
    for (const partition of [0, 1, 2, 3]) {
      const of = `{topic="${summary.topic}",partition="${partition}"}`;
      expect(samples.get(`kafka_worker_partition_frozen${of}`)).toBe(0);
      expect(samples.get(`kafka_worker_partition_paused${of}`)).toBe(0);
      expect(samples.has(`kafka_worker_partition_frontier_offset${of}`)).toBe(true);
    }
    expect(samples.get('kafka_worker_ready{}')).toBe(1);
    await expect(fetch(seen.metricsUrl)).rejects.toThrow('fetch failed');
  });
});

function noSpan(): never {
  throw new Error('a line of a record that has no span');
}
