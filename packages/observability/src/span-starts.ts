import type { KafkaRecord, TopicPartition } from '@kafka-worker/core';
import {
  type Attributes,
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  type TextMapPropagator,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { recordHeaders } from './header-carrier.ts';
import type { RecordSpan } from './record-spans.ts';
import { spanAttributes } from './span-table.ts';

type AnyRecord = KafkaRecord<unknown, unknown>;

/** What a span is called and says from its start. */
interface SpanStart {
  readonly name: string;
  readonly attributes: Attributes;
}

/** What spans begin with. */
interface SpanStartParts {
  readonly tracer: Tracer;
  readonly propagator: Pick<TextMapPropagator, 'extract'>;
  readonly relation: 'parent' | 'link';
}

/** Begins the spans of records and of batches. What the spans of a worker, or of a partition, have in common is made once. */
export class SpanStarts {
  readonly #tracer: Tracer;
  readonly #propagator: Pick<TextMapPropagator, 'extract'>;
  readonly #isLink: boolean;
  readonly #starts = new Map<string, SpanStart[]>();
  #common: Attributes = {};

  constructor({ tracer, propagator, relation }: SpanStartParts) {
    this.#tracer = tracer;
    this.#propagator = propagator;
    this.#isLink = relation === 'link';
  }

  /** Whose spans they are: to be told before the first of them. */
  of({ groupId, name }: { readonly groupId: string; readonly name: string }): void {
    this.#common = {
      [spanAttributes.system.name]: 'kafka',
      [spanAttributes.operationName.name]: 'process',
      [spanAttributes.operationType.name]: 'process',
      [spanAttributes.group.name]: groupId,
      [spanAttributes.worker.name]: name,
    };
  }

  record(record: AnyRecord): RecordSpan {
    const producer = this.#producerOf(record);
    const { name, attributes } = this.#startOf(record);
    const options: SpanOptions = { kind: SpanKind.CONSUMER, attributes };
    const producedBy = this.#isLink ? trace.getSpanContext(producer) : undefined;
    if (producedBy !== undefined) options.links = [{ context: producedBy }];
    const span = this.#tracer.startSpan(name, options, this.#isLink ? ROOT_CONTEXT : producer);
    return {
      span,
      context: trace.setSpan(producer, span),
      lastError: undefined,
      failedAttempt: undefined,
    };
  }

  /** @param own the spans of the records, if they have any */
  batch(records: readonly AnyRecord[], own: readonly RecordSpan[], attempt: number): Span {
    const contexts =
      own.length > 0
        ? own.map(({ span }) => span.spanContext())
        : records.map((record) => trace.getSpanContext(this.#producerOf(record)));
    const links: Link[] = contexts.flatMap((context) => (context === undefined ? [] : { context }));
    const [first] = records;
    const isOneTopic = records.every(({ topic }) => topic === first?.topic);
    const isOnePartition = isOneTopic && records.every(({ partition }) => partition === first?.partition);
    return this.#tracer.startSpan(
      isOneTopic ? `process ${first?.topic}` : 'process',
      {
        kind: SpanKind.CONSUMER,
        links,
        attributes: {
          ...this.#common,
          ...(isOneTopic && { [spanAttributes.topic.name]: first?.topic }),
          ...(isOnePartition && { [spanAttributes.partition.name]: String(first?.partition) }),
          [spanAttributes.batchSize.name]: records.length,
          [spanAttributes.attempt.name]: attempt,
        },
      },
      ROOT_CONTEXT,
    );
  }

  /** Nothing of these topics may come again. */
  forget(partitions: readonly TopicPartition[]): void {
    for (const { topic } of partitions) this.#starts.delete(topic);
  }

  #startOf(record: AnyRecord): SpanStart {
    const { topic, partition } = record;
    let starts = this.#starts.get(topic);
    if (starts === undefined) {
      starts = [];
      this.#starts.set(topic, starts);
    }
    let start = starts[partition];
    if (start === undefined) {
      const place = { [spanAttributes.topic.name]: topic, [spanAttributes.partition.name]: String(partition) };
      // With a place for the offset: a property that is added to a copy costs more than the copy.
      start = { name: `process ${topic}`, attributes: { ...this.#common, ...place, [spanAttributes.offset.name]: 0 } };
      starts[partition] = start;
    }
    const attributes: Attributes = { ...start.attributes };
    attributes[spanAttributes.offset.name] = record.offset;
    if (isTombstone(record)) attributes[spanAttributes.tombstone.name] = true;
    return { name: start.name, attributes };
  }

  /** What produced the record, with the baggage that it sent along. */
  #producerOf(record: AnyRecord): Context {
    return this.#propagator.extract(ROOT_CONTEXT, record.headers, recordHeaders);
  }
}

/** A value that cannot be decoded is there. */
function isTombstone(record: AnyRecord): boolean {
  try {
    return record.value === null;
  } catch {
    return false;
  }
}
