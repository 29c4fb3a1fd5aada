import type { OutgoingRecord } from '@kafka-worker/core';
import { context, propagation, SpanKind, trace } from '@opentelemetry/api';

/**
 * Messages, each with a span that says that it was sent, and the trace headers that carry it on: what instrumentation would do to a producer of yours.
 * As long as no SDK is registered, the API makes no spans and no headers.
 */
export function* traced(messages: Iterable<OutgoingRecord>): Iterable<OutgoingRecord> {
  const tracer = trace.getTracer('@kafka-worker/examples');
  for (const message of messages) {
    const span = tracer.startSpan(`send ${message.topic}`, {
      kind: SpanKind.PRODUCER,
      attributes: {
        'messaging.system.name': 'kafka',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': message.topic,
      },
    });
    const headers: Record<string, string> = {};
    propagation.inject(trace.setSpan(context.active(), span), headers);
    yield Object.keys(headers).length === 0 ? message : { ...message, headers };
    span.end();
  }
}
