/**
 * Traces, metrics and logs for `@kafka-worker/core`, as plugins, and a live page. Core itself knows no telemetry; these listen to its events.
 *
 * @packageDocumentation
 */
export { type Board, type BoardOptions, board } from './board.ts';
export { type PinoLike, pinoLogger, type WinstonLike, winstonLogger } from './foreign-loggers.ts';
export { type LoggingOptions, logging } from './logging.ts';
export { type MetricsOptions, metrics } from './metrics.ts';
export { metricsServer } from './metrics-server.ts';
export { tracing } from './tracing.ts';
export type { TracingOptions } from './tracing-options.ts';
export {
  type SpanExporterLike,
  type WatchedExporter,
  type WatchedExporterOptions,
  watchedExporter,
} from './watched-exporter.ts';
