/**
 * Traces, metrics and logs for `@kafka-worker/core`, as plugins.
 *
 * Nothing is exported yet. What comes: `tracing()`, `metrics()` and `logging()`, each with one table of its
 * span names, metric names or log events. Core itself knows no telemetry; these plugins listen to its events.
 *
 * @packageDocumentation
 */
export {};
