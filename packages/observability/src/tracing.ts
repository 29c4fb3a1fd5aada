import type { HandlerContext, KafkaRecord, OutgoingRecord, Plugin, WorkerEvents } from '@kafka-worker/core';
import {
  type Context,
  defaultTextMapSetter,
  context as otel,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import { withHeaders } from './header-carrier.ts';
import { PluginHealth } from './plugin-health.ts';
import { classOf, exceptionOf, messageOf, type RecordSpan, RecordSpans } from './record-spans.ts';
import { SpanStarts } from './span-starts.ts';
import { spanAttributes, spanConventions } from './span-table.ts';
import { traceRecordsOf } from './traced-records.ts';
import { checkTracingOptions, type TracingOptions } from './tracing-options.ts';

type AnyRecord = KafkaRecord<unknown, unknown>;

/**
 * Spans by OpenTelemetry's messaging conventions: one for each record, from its first handler call until something has become of it, retries and
 * failures included. It is active inside the handler, and what the handler sends, dead letters too, carries it on. What is traced is never the value
 * or the key of a record. One plugin is for one worker.
 *
 * A tracer that throws fails no record: the worker tells of it as an `error` event. So it does of an export that fails or hangs, which nothing here
 * waits for, where `exporter` is given; OpenTelemetry's SDK tells the logger of `diag` alone.
 * @throws InvalidOptionError for options that are none
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
 */
export function tracing(options: TracingOptions = {}): Plugin {
  checkTracingOptions(options);
  return new Tracing(options);
}

class Tracing implements Plugin {
  readonly name = 'tracing';
  readonly listeners: NonNullable<Plugin['listeners']>;
  readonly #options: TracingOptions;
  readonly #propagator: Pick<TextMapPropagator, 'extract' | 'inject'>;
  readonly #starts: SpanStarts;
  readonly #spans = new RecordSpans();
  readonly #health = new PluginHealth('tracing');
  #unwatch = (): void => {};

  constructor(options: TracingOptions) {
    this.#options = options;
    const provider = options.tracerProvider ?? trace.getTracerProvider();
    const tracer = provider.getTracer('@kafka-worker/observability', undefined, {
      schemaUrl: `https://opentelemetry.io/schemas/${spanConventions.version}`,
    });
    const { propagator = propagation, relation = 'parent', spanPer } = options;
    this.#propagator = propagator;
    this.#starts = new SpanStarts({ tracer, propagator, relation });
    this.listeners =
      spanPer === 'batch'
        ? {}
        : {
            settled: (event) => this.#settled(event),
            failed: (failure) => this.#guard(() => this.#failed(failure)),
            frozen: (event) => this.#guard(() => this.#spans.frozen(event)),
            revoked: ({ partitions }) => {
              this.#guard(() => this.#spans.left(partitions));
              this.#starts.forget(partitions);
            },
            restarted: ({ partitions }) => this.#guard(() => this.#spans.left(partitions)),
            state: ({ to }) => {
              if (to === 'stopped' || to === 'failed') this.#guard(() => this.#spans.left());
            },
          };
  }

  async start(...[worker, host]: Parameters<NonNullable<Plugin['start']>>): Promise<void> {
    this.#health.started(host);
    this.#starts.of(worker);
    traceRecordsOf(worker, this.#spans);
    this.#unwatch = this.#options.exporter?.watch((trouble) => this.#health.failed(trouble)) ?? this.#unwatch;
  }

  async stop(): Promise<void> {
    this.#unwatch();
  }

  aroundRecord(record: AnyRecord, { attempt }: HandlerContext, next: () => Promise<void>): Promise<void> {
    const { spanPer = 'record' } = this.#options;
    const own = spanPer === 'batch' ? undefined : this.#guardedSpanOf(record);
    if (spanPer !== 'record') return this.#inBatch([record], own === undefined ? [] : [own], attempt, next);
    // What fails comes by the worker's event: a promise for each record costs more than the rest of this.
    return own === undefined ? next() : otel.with(own.context, next);
  }

  async aroundBatch(
    records: readonly AnyRecord[],
    { attempt }: Pick<HandlerContext, 'attempt'>,
    next: () => Promise<void>,
  ): Promise<void> {
    const { spanPer = 'both' } = this.#options;
    const own = spanPer === 'batch' ? [] : records.flatMap((record) => this.#guardedSpanOf(record) ?? []);
    if (spanPer !== 'record') return this.#inBatch(records, own, attempt, next);
    try {
      await next();
    } catch (error) {
      for (const one of own) this.#guard(() => callFailed(one, error, attempt));
      throw error;
    }
  }

  outgoing(message: OutgoingRecord, source: AnyRecord): OutgoingRecord {
    return (
      this.#guard(() => {
        const headers: Record<string, string> = {};
        this.#propagator.inject(this.#sendingContext(source), headers, defaultTextMapSetter);
        return Object.keys(headers).length === 0 ? message : withHeaders(message, headers);
      }) ?? message
    );
  }

  /** A span that the handler has made inside the record's own is nearer; what is active elsewhere (in a batch, or nowhere) is not. */
  #sendingContext(source: AnyRecord): Context {
    const active = otel.active();
    const own = this.#spans.of(source);
    if (own === undefined) return active;
    const isInside = trace.getSpanContext(active)?.traceId === own.span.spanContext().traceId;
    return isInside ? active : own.context;
  }

  /** Of a record that is tried again, the one that it has. Without a closure, as this is done for every record. */
  #guardedSpanOf(record: AnyRecord): RecordSpan | undefined {
    try {
      const open = this.#spans.of(record);
      if (open !== undefined) return open;
      const begun = this.#starts.record(record);
      this.#spans.add(record, begun);
      return begun;
    } catch (thrown) {
      this.#health.failed(thrown);
      return undefined;
    }
  }

  #settled({ record, outcome, attempts }: Parameters<WorkerEvents['settled']>[0]): void {
    try {
      this.#spans.ended(record, outcome, attempts);
    } catch (thrown) {
      this.#health.failed(thrown);
    }
  }

  /** Runs a handler call inside a span of its own. */
  async #inBatch(
    records: readonly AnyRecord[],
    own: readonly RecordSpan[],
    attempt: number,
    next: () => Promise<void>,
  ): Promise<void> {
    const batch = this.#guard(() => this.#starts.batch(records, own, attempt));
    if (batch === undefined) return next();
    try {
      await otel.with(trace.setSpan(ROOT_CONTEXT, batch), next);
    } catch (error) {
      this.#guard(() => {
        for (const one of own) callFailed(one, error, attempt);
        batch.recordException(exceptionOf(error));
        batch.setAttribute(spanAttributes.errorType.name, classOf(error));
        batch.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
      });
      throw error;
    } finally {
      this.#guard(() => {
        if (own.length === 0) this.#spans.calledIn(batch.spanContext(), records);
        batch.end();
      });
    }
  }

  #failed({ records, error, attempt, decision }: Parameters<WorkerEvents['failed']>[0]): void {
    this.#spans.decidedTogether(records);
    for (const record of records) {
      const own = this.#spans.of(record);
      // One that failed alone in its batch, or after its handler had returned, has not failed where the call is.
      const isKnown = own?.failedAttempt === attempt && own.lastError === error;
      if (own !== undefined && !isKnown) callFailed(own, error, attempt);
      if (decision.do === 'retry') this.#spans.retried(record, attempt, decision.afterMs);
    }
    // Not before others have heard of it, who may want to know of the span.
    if (decision.do === 'stop') queueMicrotask(() => this.#guard(() => this.#stopped(records, attempt)));
  }

  #stopped(records: readonly AnyRecord[], attempt: number): void {
    for (const record of records) this.#spans.ended(record, 'stopped', attempt);
  }

  /** What goes wrong in tracing is told, and is nothing to the record. */
  #guard<T>(run: () => T): T | undefined {
    return this.#health.guard(run);
  }
}

function callFailed(own: RecordSpan, error: unknown, attempt: number): void {
  own.lastError = error;
  own.failedAttempt = attempt;
  own.span.recordException(exceptionOf(error));
}
