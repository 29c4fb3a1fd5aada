import { InvalidOptionError } from '@kafka-worker/core';

/** What an export answers, `code` 0 for done: `ExportResult` of `@opentelemetry/core`. */
interface ExportAnswer {
  readonly code: number;
  readonly error?: Error;
}

/** `SpanExporter` of `@opentelemetry/sdk-trace-base`, which is not needed to read this. */
export interface SpanExporterLike {
  export(spans: never[], done: (answer: ExportAnswer) => void): void;
  shutdown(): Promise<void>;
  forceFlush?(): Promise<void>;
}

export interface WatchedExporterOptions {
  /** An export that has not answered for so long is told of, once. It goes on: when it is given up is the span processor's matter. @defaultValue 15,000 */
  readonly slowAfterMs?: number;
}

type Listener = (trouble: Error) => void;

/** Made by `watchedExporter()`: give it to the span processor in the exporter's place, and to `tracing({ exporter })`. */
export class WatchedExporter<Exporter extends SpanExporterLike = SpanExporterLike> {
  readonly #exporter: Exporter;
  readonly #slowAfterMs: number;
  readonly #listeners = new Set<Listener>();

  /** @internal */
  constructor(exporter: Exporter, slowAfterMs: number) {
    this.#exporter = exporter;
    this.#slowAfterMs = slowAfterMs;
  }

  /** Exports, and looks at what becomes of it. What the exporter throws is told and thrown on. */
  export(spans: Parameters<Exporter['export']>[0], done: (answer: ExportAnswer) => void): void {
    const slow = setTimeout(() => {
      this.#tell(new Error(`an export of spans has not answered for ${this.#slowAfterMs} ms`));
    }, this.#slowAfterMs);
    slow.unref();
    // The first answer counts, and what is thrown behind it is whoever's that was told it.
    let isAnswered = false;
    try {
      this.#exporter.export(spans, (answer) => {
        clearTimeout(slow);
        const isFirst = !isAnswered;
        isAnswered = true;
        if (isFirst && answer.code !== 0) this.#failed(answer.error);
        done(answer);
      });
    } catch (thrown) {
      clearTimeout(slow);
      if (!isAnswered) this.#failed(thrown);
      throw thrown;
    }
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  /** Tells of each export that fails or is slow, until the returned function is called. @internal */
  watch(listener: Listener): () => void {
    // One listener more, also when the same function is given twice.
    const own: Listener = (trouble) => listener(trouble);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  #failed(cause: unknown): void {
    const why = reasonOf(cause);
    this.#tell(new Error(`an export of spans failed${why === '' ? '' : `: ${why}`}`, { cause }));
  }

  #tell(trouble: Error): void {
    for (const listener of this.#listeners) listener(trouble);
  }
}

/** Where a host has several addresses, Node's error for all of them has no words of its own. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return '';
  return cause.message === '' && cause instanceof AggregateError
    ? cause.errors.map(reasonOf).join(', ')
    : cause.message;
}

/**
 * Watches where spans go, so that their loss is seen where the worker's other trouble is. An export that fails, or that has not answered for
 * `slowAfterMs`, is an `error` event of each worker whose `tracing({ exporter })` has it; nothing waits for it, and no record is the worse.
 *
 * ```ts
 * const exporter = watchedExporter(new OTLPTraceExporter());
 * new NodeSDK({ traceExporter: exporter }).start();
 * new Worker({ plugins: [tracing({ exporter })], ... });
 * ```
 * @throws InvalidOptionError when `exporter` is no `SpanExporter`, and for options that are none
 */
export function watchedExporter<Exporter extends SpanExporterLike>(
  exporter: Exporter,
  options: WatchedExporterOptions = {},
): WatchedExporter<Exporter> {
  if (typeof exporter?.export !== 'function' || typeof exporter.shutdown !== 'function')
    throw new InvalidOptionError('exporter', 'a SpanExporter of OpenTelemetry', exporter);
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('options', 'an object with slowAfterMs', options);
  for (const [option, value] of Object.entries(options))
    if (option !== 'slowAfterMs')
      throw new InvalidOptionError(option, 'no option of that name (there is slowAfterMs)', value);
  const { slowAfterMs = 15_000 } = options;
  if (!Number.isInteger(slowAfterMs) || slowAfterMs < 1 || slowAfterMs > 2 ** 31 - 1)
    throw new InvalidOptionError('slowAfterMs', 'a whole number of milliseconds from 1 to 2,147,483,647', slowAfterMs);
  return new WatchedExporter(exporter, slowAfterMs);
}
