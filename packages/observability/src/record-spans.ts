import type { KafkaRecord, TopicPartition } from '@kafka-worker/core';
import { type Context, type Exception, type Span, type SpanContext, SpanStatusCode } from '@opentelemetry/api';
import { withoutQuotedJson } from './error-text.ts';
import { spanAttributes, spanEvents } from './span-table.ts';
import type { TracedRecords } from './traced-records.ts';

type AnyRecord = KafkaRecord<unknown, unknown>;
type Place = TopicPartition & { readonly offset: number };

/** How a record's span ends. */
export type SpanOutcome = 'handled' | 'skipped' | 'dead-lettered' | 'frozen' | 'stopped' | 'left';

/** A record that is being worked on, and its span. */
export interface RecordSpan {
  readonly span: Span;
  /** The span is active in it. */
  readonly context: Context;
  lastError: unknown;
  /** Whose failure it was. */
  failedAttempt: number | undefined;
}

/** The spans of the records that are being worked on. What ends a span comes from the worker's events, for only these know what has become of a record. */
export class RecordSpans implements TracedRecords {
  readonly #open = new Map<AnyRecord, RecordSpan>();
  /** Of the calls in which records were handled, where only they have spans. */
  readonly #calls = new WeakMap<AnyRecord, SpanContext>();
  /** What one decision was taken for, where that was for more than one record. */
  readonly #decidedTogether = new WeakMap<AnyRecord, readonly AnyRecord[]>();

  of(record: AnyRecord): RecordSpan | undefined {
    return this.#open.get(record);
  }

  add(record: AnyRecord, span: RecordSpan): void {
    this.#open.set(record, span);
  }

  spanContextOf(record: AnyRecord): SpanContext | undefined {
    return this.#open.get(record)?.span.spanContext() ?? this.#calls.get(record);
  }

  spanContextAt(place: Place): SpanContext | undefined {
    const record = this.#at(place);
    return record && this.spanContextOf(record);
  }

  /** These were handled in a call which alone has a span: any of them may have failed in it, or be decided about later. */
  calledIn(call: SpanContext, records: readonly AnyRecord[]): void {
    for (const record of records) this.#calls.set(record, call);
  }

  decidedTogether(records: readonly AnyRecord[]): void {
    if (records.length > 1) for (const record of records) this.#decidedTogether.set(record, records);
  }

  retried(record: AnyRecord, attempt: number, afterMs: number): void {
    const { name } = spanEvents.retry;
    this.#open.get(record)?.span.addEvent(name, {
      [spanAttributes.attempt.name]: attempt,
      [spanAttributes.afterMs.name]: afterMs,
    });
  }

  ended(record: AnyRecord, outcome: SpanOutcome, attempts = 1): void {
    const open = this.#open.get(record);
    if (open === undefined) return;
    this.#open.delete(record);
    const { span, lastError } = open;
    span.setAttribute(spanAttributes.outcome.name, outcome);
    if (attempts > 1) span.setAttribute(spanAttributes.attempts.name, attempts);
    if (outcome !== 'handled' && outcome !== 'left') {
      if (lastError !== undefined) span.setAttribute(spanAttributes.errorType.name, classOf(lastError));
      span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(lastError) });
    }
    span.end();
  }

  /** Whatever of these partitions (without any: of all) is still being worked on will not be finished here. */
  left(partitions?: readonly TopicPartition[]): void {
    const names = partitions && new Set(partitions.map(({ topic, partition }) => `${topic}/${partition}`));
    for (const record of this.#open.keys())
      if (names === undefined || names.has(`${record.topic}/${record.partition}`)) this.ended(record, 'left');
  }

  /** The record at this place stands still until somebody says otherwise, and with it those that were decided about together. */
  frozen(place: Place): void {
    const record = this.#at(place);
    if (record === undefined) return;
    for (const one of this.#decidedTogether.get(record) ?? [record]) this.ended(one, 'frozen');
  }

  #at({ topic, partition, offset }: Place): AnyRecord | undefined {
    for (const record of this.#open.keys())
      if (record.offset === offset && record.partition === partition && record.topic === topic) return record;
    return undefined;
  }
}

/** What OpenTelemetry wants to know of something thrown. */
export function exceptionOf(thrown: unknown): Exception {
  if (!(thrown instanceof Error)) return messageOf(thrown);
  const { name, message, stack } = thrown;
  const shown = withoutQuotedJson(message);
  if (shown === message) return thrown;
  return { name, message: shown, ...(stack !== undefined && { stack: withoutQuotedJson(stack) }) };
}

export function classOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.constructor.name : typeof thrown;
}

export function messageOf(thrown: unknown): string {
  try {
    return withoutQuotedJson(thrown instanceof Error ? thrown.message : String(thrown));
  } catch {
    return typeof thrown;
  }
}
