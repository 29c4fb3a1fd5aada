import type { WorkerEvents } from './events.ts';
import type { HandlerContext } from './handler.ts';
import type { Logger } from './logger.ts';
import type { KafkaRecord, OutgoingRecord } from './record.ts';
import type { Worker } from './worker.ts';

/** What a plugin gets beside the worker that starts it. */
export interface PluginHost {
  /** Something of the plugin's own went wrong, and no record is the worse for it: told as the worker's `error` event. */
  readonly report: (error: Error) => void;
}

/**
 * A concern beside handling records: traces, metrics, logs, or a user's own. Plugins wrap in the order in which they are given, the first outermost.
 */
export interface Plugin {
  readonly name: string;
  readonly listeners?: Partial<WorkerEvents>;
  /**
   * Around each attempt of a `handler`. What it throws is the record's failure. It calls `next` once and awaits it: otherwise the record fails with an
   * `IllegalStateError`, and in any case nothing is decided before the handler has returned.
   */
  aroundRecord?(
    record: KafkaRecord<unknown, unknown>,
    context: HandlerContext,
    next: () => Promise<void>,
  ): Promise<void>;
  /** Around each attempt of a `batchHandler`, as `aroundRecord`. */
  aroundBatch?(
    records: readonly KafkaRecord<unknown, unknown>[],
    context: Omit<HandlerContext, 'send'>,
    next: () => Promise<void>,
  ): Promise<void>;
  /** Every message that a handler sends passes here, on its way out. */
  outgoing?(message: OutgoingRecord, source: KafkaRecord<unknown, unknown>): OutgoingRecord;
  /** Called once for each attempt, when its `context.log` is first read. `log` is what the plugin before has made, or the worker's logger with the record's fields. */
  logFor?(record: KafkaRecord<unknown, unknown>, log: Logger, attempt: number): Logger;
  /** Awaited before the worker connects; if it throws, the worker does not start. */
  start?(worker: Worker<never, never, never>, host: PluginHost): Promise<void>;
  /** Awaited last, when everything else is closed. */
  stop?(): Promise<void>;
}
