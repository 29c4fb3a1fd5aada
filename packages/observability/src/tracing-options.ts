import { InvalidOptionError } from '@kafka-worker/core';
import type { TextMapPropagator, TracerProvider } from '@opentelemetry/api';
import type { WatchedExporter } from './watched-exporter.ts';

/** Start with `tracerProvider`. */
export interface TracingOptions {
  /** Where spans come from. @defaultValue the one that is registered with `@opentelemetry/api` */
  readonly tracerProvider?: TracerProvider;
  /** What reads and writes trace headers. @defaultValue the one that is registered with `@opentelemetry/api` */
  readonly propagator?: TextMapPropagator;
  /** A span for each record, for each handler call, or for both. @defaultValue `'record'` for a `handler`, `'both'` for a `batchHandler` */
  readonly spanPer?: 'record' | 'batch' | 'both';
  /**
   * What the context that a record was produced in is to its span: its parent, so that both are one trace, or a link, so that each record begins a trace
   * of its own. @defaultValue `'parent'`
   */
  readonly relation?: 'parent' | 'link';
  /** Where `tracerProvider` exports to, made with `watchedExporter()`: what fails or hangs there is told as an `error` event. @defaultValue nothing is told */
  readonly exporter?: WatchedExporter;
}

/** @throws InvalidOptionError for options that are none */
export function checkTracingOptions(options: TracingOptions): void {
  const known = ['tracerProvider', 'propagator', 'spanPer', 'relation', 'exporter'];
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('options', `an object with ${known.join(', ')}`, options);
  for (const [option, value] of Object.entries(options))
    if (!known.includes(option))
      throw new InvalidOptionError(option, `no option of that name (there is ${known.join(', ')})`, value);
  const { tracerProvider, propagator, spanPer, relation, exporter } = options;
  if (tracerProvider !== undefined && typeof tracerProvider?.getTracer !== 'function')
    throw new InvalidOptionError('tracerProvider', 'a TracerProvider of OpenTelemetry', tracerProvider);
  if (
    propagator !== undefined &&
    (typeof propagator?.extract !== 'function' || typeof propagator.inject !== 'function')
  )
    throw new InvalidOptionError('propagator', 'a TextMapPropagator of OpenTelemetry', propagator);
  if (spanPer !== undefined && !['record', 'batch', 'both'].includes(spanPer))
    throw new InvalidOptionError('spanPer', "'record', 'batch' or 'both'", spanPer);
  if (relation !== undefined && !['parent', 'link'].includes(relation))
    throw new InvalidOptionError('relation', "'parent' or 'link'", relation);
  if (exporter !== undefined && typeof exporter?.watch !== 'function')
    throw new InvalidOptionError('exporter', 'what watchedExporter(exporter) has made', exporter);
}
