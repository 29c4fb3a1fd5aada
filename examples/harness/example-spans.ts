import { SpanStatusCode } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import {
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { OtlpSpans, type SpanReport } from './otlp-spans.ts';

/** So many are kept, and at most twice as many: a run with `--board` has no end. */
const MAX_IN_MEMORY = 20_000;

/** Where the spans of an example go that traces by itself: to a collector, or, where none is named, into memory. */
export class ExampleSpans {
  readonly processor: SpanProcessor;
  readonly #otlp: OtlpSpans | undefined;
  readonly #memory: LastSpans;

  constructor(collector: string | undefined, maxInMemory: number = MAX_IN_MEMORY) {
    this.#memory = new LastSpans(maxInMemory);
    this.#otlp = collector === undefined ? undefined : new OtlpSpans(collector);
    this.processor = this.#otlp ?? new SimpleSpanProcessor(this.#memory);
  }

  /** The last ones, in the order in which they ended; none where they were sent. */
  get inMemory(): readonly ReadableSpan[] {
    return this.#memory.spans;
  }

  /** How many have ended in memory, those that are no longer there too. */
  get counts(): { readonly spans: number; readonly spansWithError: number } {
    const { ended: spans, withError: spansWithError } = this.#memory;
    return { spans, spansWithError };
  }

  /** Sends what is left, in bounded time, and tells; nothing to tell where they are in memory. Never rejects. */
  async end(): Promise<SpanReport | undefined> {
    return this.#otlp?.end();
  }
}

/** OpenTelemetry's own exporter into memory keeps all of them. */
class LastSpans implements SpanExporter {
  readonly spans: ReadableSpan[] = [];
  readonly #max: number;
  ended = 0;
  withError = 0;

  constructor(max: number) {
    this.#max = max;
  }

  export(spans: readonly ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    for (const span of spans) {
      this.ended++;
      if (span.status.code === SpanStatusCode.ERROR) this.withError++;
      this.spans.push(span);
    }
    if (this.spans.length >= 2 * this.#max) this.spans.splice(0, this.#max);
    done({ code: ExportResultCode.SUCCESS });
  }

  async shutdown(): Promise<void> {}
}
