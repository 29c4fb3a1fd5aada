import type { MessagePort } from 'node:worker_threads';
import type { Logger } from '../logger.ts';
import type { OutgoingRecord } from '../record.ts';
import type { CrossingError } from './crossing-errors.ts';
import type { ThreadRecord } from './thread-handler.ts';

/** One call, or without a call the question whether the file can be loaded. */
export interface ThreadTask {
  readonly url: string;
  readonly call:
    | { readonly record: ThreadRecord<unknown, unknown>; readonly attempt: number; readonly port: MessagePort }
    | undefined;
}

/** How a task ended; without an error well. */
export interface ThreadOutcome {
  /** What the file's default export is, of a question. */
  readonly type?: string;
  readonly error?: CrossingError;
}

/** What a thread says while a call runs. */
export type FromThread =
  | { readonly is: 'started' }
  | { readonly is: 'send'; readonly message: OutgoingRecord }
  | { readonly is: 'log'; readonly level: keyof Logger; readonly message: string; readonly fields: object | undefined };

/** What a thread is told while a call runs: that its signal is aborted, and why. */
export interface ToThread {
  readonly abort: CrossingError;
}
