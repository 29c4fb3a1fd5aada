import type { Plugin } from '@kafka-worker/core';
import { tracing } from '@kafka-worker/observability';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { type ExampleArguments, examplesThatTrace } from './example-arguments.ts';
import { OtlpSpans, type SpanReport } from './otlp-spans.ts';
import { unregisterSdk } from './unregister-sdk.ts';

/** `--trace-otlp` for an example that knows nothing of traces: an SDK around it, and a plugin in its worker. */
export class ExampleTracing {
  /** Outside of the one that makes handlers fail, whose failures are the handler's. */
  readonly plugins: readonly Plugin[];
  readonly #spans: OtlpSpans | undefined;
  #ended: Promise<SpanReport | undefined> | undefined;

  /** Does nothing where no collector is named, and for examples that trace by themselves. */
  static start({ example, traceOtlp }: ExampleArguments): ExampleTracing {
    if (traceOtlp === undefined || examplesThatTrace.has(example)) return new ExampleTracing(undefined);
    const spans = new OtlpSpans(traceOtlp);
    const serviceName = `example-${example}`;
    new NodeSDK({ serviceName, spanProcessors: [spans], metricReaders: [], logRecordProcessors: [] }).start();
    return new ExampleTracing(spans);
  }

  private constructor(spans: OtlpSpans | undefined) {
    this.#spans = spans;
    this.plugins = spans === undefined ? [] : [tracing()];
  }

  /** Sends what is left, in bounded time, and tells what became of the spans. Never rejects. */
  end(): Promise<SpanReport | undefined> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<SpanReport | undefined> {
    if (this.#spans === undefined) return undefined;
    unregisterSdk();
    return this.#spans.end();
  }
}
