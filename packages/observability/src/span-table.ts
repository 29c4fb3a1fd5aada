/** Whose names the spans have. */
export const spanConventions = {
  name: 'OpenTelemetry semantic conventions for messaging',
  version: '1.45.0',
  url: 'https://opentelemetry.io/docs/specs/semconv/messaging/kafka/',
} as const;

/** One span, as the documentation has it. */
interface SpanDefinition {
  readonly name: string;
  readonly kind: 'consumer';
  readonly what: string;
  readonly attributes: readonly AttributeKey[];
  readonly events: readonly SpanEventKey[];
}

type AttributeKey = keyof typeof spanAttributes;
type SpanEventKey = keyof typeof spanEvents;

/** Attributes of spans and of their events. Those without a namespace of OpenTelemetry are this library's own. */
export const spanAttributes = {
  system: { name: 'messaging.system.name', what: '`kafka`' },
  operationName: { name: 'messaging.operation.name', what: '`process`' },
  operationType: { name: 'messaging.operation.type', what: '`process`' },
  topic: { name: 'messaging.destination.name', what: 'the topic; left out of a batch of several' },
  partition: {
    name: 'messaging.destination.partition.id',
    what: 'the partition, as text; left out of a batch of several',
  },
  group: { name: 'messaging.consumer.group.name', what: 'the consumer group' },
  offset: { name: 'kafka.offset', what: "the record's offset" },
  tombstone: { name: 'kafka.message.tombstone', what: '`true` where the value is null; left out otherwise' },
  batchSize: { name: 'messaging.batch.message_count', what: 'records in the batch' },
  worker: { name: 'kafka_worker.name', what: "the worker's name" },
  attempts: { name: 'kafka_worker.attempts', what: 'handler calls in all, when there was more than one' },
  outcome: {
    name: 'kafka_worker.outcome',
    what: '`handled`, `skipped`, `dead-lettered`, `frozen`, `stopped` or `left`',
  },
  attempt: { name: 'kafka_worker.attempt', what: 'which call failed, from 1 on' },
  afterMs: { name: 'kafka_worker.retry.after_ms', what: 'how long the retry waits at least, in milliseconds' },
  errorType: { name: 'error.type', what: 'the class of the error' },
} as const;

/** Events on spans. */
export const spanEvents = {
  exception: { name: 'exception', what: 'a call failed; with what OpenTelemetry records of an exception' },
  retry: {
    name: 'kafka_worker.retry',
    what: 'the record is tried again; with `kafka_worker.attempt` and `kafka_worker.retry.after_ms`',
  },
} as const;

/** Every kind of span. */
export const spans: Readonly<Record<'record' | 'batch', SpanDefinition>> = {
  record: {
    name: 'process {topic}',
    kind: 'consumer',
    what: 'A record, from its first handler call until it is handled, skipped, in the dead letter topic, frozen, or left. Its parent, or a link of it, is what produced the record. An error, where it was not handled.',
    attributes: [
      'system',
      'operationName',
      'operationType',
      'topic',
      'partition',
      'group',
      'offset',
      'tombstone',
      'worker',
      'attempts',
      'outcome',
      'errorType',
    ],
    events: ['exception', 'retry'],
  },
  batch: {
    name: 'process {topic}',
    kind: 'consumer',
    what: 'A handler call, linked to the span of each of its records, or, where records have none, to what produced them. An error, where the call failed.',
    attributes: [
      'system',
      'operationName',
      'operationType',
      'topic',
      'partition',
      'group',
      'batchSize',
      'worker',
      'attempt',
      'errorType',
    ],
    events: ['exception'],
  },
};
