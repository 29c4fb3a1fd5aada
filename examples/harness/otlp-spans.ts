import { TraceFlags } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace-base';

/** How long one request may take, repeats included. */
const REQUEST_TIMEOUT_MS = 4_000;
/** How long the end of a run waits for the last requests. */
const END_TIMEOUT_MS = 5_000;
const MAX_QUEUE_SIZE = 50_000;
/** What is left in a full queue is sent in so many requests at once, at the end. */
const MAX_REQUESTS = 100;

/** What became of the spans of a run. */
export interface SpanReport {
  readonly line: string;
  /** Some are not where they should be. */
  readonly isIncomplete: boolean;
}

/**
 * OpenTelemetry's own batch processor and OTLP exporter, with a count beside them: the SDK says nothing when spans do not arrive, and waits for long at
 * the end when nobody answers.
 */
export class OtlpSpans extends BatchSpanProcessor {
  readonly #url: string;
  readonly #counted: CountedExporter;
  #ended = 0;

  /** @param collector its URL, as in OTEL_EXPORTER_OTLP_ENDPOINT: `/v1/traces` is added */
  constructor(collector: string) {
    const url = tracesUrl(collector);
    const counted = new CountedExporter(
      new OTLPTraceExporter({ url, timeoutMillis: REQUEST_TIMEOUT_MS, concurrencyLimit: MAX_REQUESTS }),
    );
    super(counted, { maxQueueSize: MAX_QUEUE_SIZE, exportTimeoutMillis: END_TIMEOUT_MS });
    this.#url = url;
    this.#counted = counted;
  }

  override onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0) this.#ended++;
    super.onEnd(span);
  }

  /** Sends what is left, for 5 s at most, and tells. Never rejects. */
  async end(): Promise<SpanReport> {
    let timer: NodeJS.Timeout | undefined;
    const timeIsUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, END_TIMEOUT_MS);
    });
    // Why it failed is known to the exporter that counts.
    await Promise.race([this.shutdown().catch(() => {}), timeIsUp]);
    clearTimeout(timer);
    const { sent, error } = this.#counted;
    if (sent === this.#ended) return { line: `${sent} spans sent to ${this.#url}`, isIncomplete: false };
    const why = error ?? `the collector has not answered in ${END_TIMEOUT_MS / 1_000} s, or more were waiting than fit`;
    const line = `${sent} of ${this.#ended} spans sent to ${this.#url}: ${why}. Is a collector there? docker compose up -d starts one`;
    return { line, isIncomplete: true };
  }
}

/** Knows how many spans have arrived, and why others have not. */
class CountedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  sent = 0;
  error: string | undefined;

  constructor(exporter: SpanExporter) {
    this.#exporter = exporter;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#exporter.export(spans, (result) => {
      if (result.code === ExportResultCode.SUCCESS) this.sent += spans.length;
      else this.error = reasonOf(result.error);
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}

function tracesUrl(collector: string): string {
  const base = collector.replace(/\/+$/, '');
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`;
}

/** A host with several addresses fails with one error for each, and no message. */
function reasonOf(error: Error | undefined): string | undefined {
  if (error === undefined) return undefined;
  if (error instanceof AggregateError) return error.errors.map((one) => (one as Error).message).join(', ');
  return error.message === '' ? error.name : error.message;
}
