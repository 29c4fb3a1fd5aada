import type { KafkaRecord, TopicPartition } from '@kafka-worker/core';
import { type Context, type Span, SpanStatusCode } from '@opentelemetry/api';
import { spanAttributes, spanEvents } from './span-table.ts';

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
export class RecordSpans {
  readonly #open = new Map<KafkaRecord<unknown, unknown>, RecordSpan>();

  of(record: KafkaRecord<unknown, unknown>): RecordSpan | undefined {
    return this.#open.get(record);
  }

  add(record: KafkaRecord<unknown, unknown>, span: RecordSpan): void {
    this.#open.set(record, span);
  }

  retried(record: KafkaRecord<unknown, unknown>, attempt: number, afterMs: number): void {
    const { name } = spanEvents.retry;
    this.#open.get(record)?.span.addEvent(name, {
      [spanAttributes.attempt.name]: attempt,
      [spanAttributes.afterMs.name]: afterMs,
    });
  }

  ended(record: KafkaRecord<unknown, unknown>, outcome: SpanOutcome, attempts = 1): void {
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

  /** The record at this place stands still until somebody says otherwise. */
  frozen({ topic, partition, offset }: TopicPartition & { readonly offset: number }): void {
    for (const record of this.#open.keys())
      if (record.offset === offset && record.partition === partition && record.topic === topic)
        this.ended(record, 'frozen');
  }
}

/** What OpenTelemetry wants to know of something thrown. */
export function exceptionOf(thrown: unknown): Error | string {
  return thrown instanceof Error ? thrown : messageOf(thrown);
}

export function classOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.constructor.name : typeof thrown;
}

export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return typeof thrown;
  }
}
