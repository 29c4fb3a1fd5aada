import type { KafkaRecord, TopicPartition } from '@kafka-worker/core';
import type { SpanContext } from '@opentelemetry/api';

/** What is known of the spans of a worker's records. */
export interface TracedRecords {
  /** Undefined for a record that has none. */
  spanContextOf(record: KafkaRecord<unknown, unknown>): SpanContext | undefined;
  /** Slower: for what is seldom. */
  spanContextAt(place: TopicPartition & { readonly offset: number }): SpanContext | undefined;
}

const byWorker = new WeakMap<object, TracedRecords>();

/**
 * Tells of the spans of a worker's records whatever else tells of those records, once the handler has returned and its context is no longer active. Who
 * traces and who asks need not know each other, nor in which order they were given to the worker.
 */
export function traceRecordsOf(worker: object, traced: TracedRecords): void {
  byWorker.set(worker, traced);
}

/** Undefined where nobody traces. */
export function tracedRecordsOf(worker: object): TracedRecords | undefined {
  return byWorker.get(worker);
}
