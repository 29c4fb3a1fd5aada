import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { OtlpSpans, type SpanReport } from './otlp-spans.ts';

/** Where the spans of an example go that traces by itself: to a collector, or, where none is named, into memory. */
export class ExampleSpans {
  readonly processor: SpanProcessor;
  readonly #otlp: OtlpSpans | undefined;
  readonly #memory = new InMemorySpanExporter();

  constructor(collector: string | undefined) {
    this.#otlp = collector === undefined ? undefined : new OtlpSpans(collector);
    this.processor = this.#otlp ?? new SimpleSpanProcessor(this.#memory);
  }

  /** In the order in which they ended; none where they were sent. */
  get inMemory(): readonly ReadableSpan[] {
    return this.#memory.getFinishedSpans();
  }

  /** Sends what is left, in bounded time, and tells; nothing to tell where they are in memory. Never rejects. */
  async end(): Promise<SpanReport | undefined> {
    return this.#otlp?.end();
  }
}
