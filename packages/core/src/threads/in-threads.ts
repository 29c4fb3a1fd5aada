import { availableParallelism } from 'node:os';
import { IllegalStateError, InvalidOptionError } from '../errors.ts';
import { type Handler, type HandlerContext, handlerPlugin } from '../handler.ts';
import { atLeastOne, check, has, optional, positiveInteger } from '../option-checks.ts';
import type { Plugin } from '../plugin.ts';
import type { KafkaRecord } from '../record.ts';
import { checkObject } from '../worker-checks.ts';
import { ThreadPool } from './thread-pool.ts';

/** Where and how many. */
export interface ThreadOptions {
  /** At most so many at once; they are started as they are needed. @defaultValue what `os.availableParallelism()` says */
  readonly threads?: number;
  /** Node's options for the threads, such as `['--import', 'tsx']` for a file in TypeScript. @defaultValue the process's own */
  readonly execArgv?: readonly string[];
  /** How long the file may take to load when the worker starts, with what it awaits at its top level. In milliseconds. @defaultValue 30_000 */
  readonly loadTimeoutMs?: number;
}

/** A connection that the file opens takes no longer than the worker's own may. */
const LOAD_TIMEOUT_MS = 30_000;

/** A handler that runs in threads. The worker that it is given to starts and ends them; whoever calls it otherwise disposes of it. */
export interface ThreadedHandler extends Handler<unknown, unknown, object>, AsyncDisposable {}

/** `node --import tsx`, `-r some-hook` and the like: they may well load TypeScript. */
const LOADS_MORE = /^(--import|--require|-r|--loader|--experimental-loader|--experimental-(strip|transform)-types)\b/;

/**
 * A handler for work that keeps a processor busy: the default export of `file` ({@link ThreadHandler}), called in threads, each with one record at a
 * time, while the worker goes on polling. It is a handler like any other: order is what `concurrency` says, an error in the thread is the record's
 * failure, and `signal`, `log` and `send` work from there. With more calls at once than threads, calls wait for one, and their time runs.
 *
 * The file is loaded when the worker starts, which rejects when it cannot be, or not in time. It must not load the Kafka client, which runs on the main thread only. A
 * thread that ends in the middle of a record, by `process.exit` or for want of memory, is that record's failure, and is replaced.
 *
 * Needs `piscina`.
 *
 * @throws InvalidOptionError for what is no file, for options that are none, and for TypeScript without what loads it
 */
export function inThreads(file: URL, options: ThreadOptions = {}): ThreadedHandler {
  checkArguments(file, options);
  const { threads = availableParallelism(), execArgv, loadTimeoutMs = LOAD_TIMEOUT_MS } = options;
  const pool = new SharedPool((closing) => ThreadPool.open({ file, threads, execArgv, loadTimeoutMs, closing }));
  const handler = async (record: KafkaRecord<unknown, unknown>, context: HandlerContext): Promise<void> => {
    if (Array.isArray(record))
      throw new InvalidOptionError('handler', 'one record: inThreads() is no batchHandler', record);
    await (await pool.opened()).call(record, context);
  };
  return Object.assign(handler, { [handlerPlugin]: pool, [Symbol.asyncDispose]: () => pool.close() });
}

/** One pool for all workers that have the handler: opened with the first, or the first call, and closed with the last. */
class SharedPool implements Plugin {
  readonly name = 'threads';
  readonly #open: (closing: AbortSignal) => Promise<ThreadPool>;
  #users = 0;
  #pool: Promise<ThreadPool> | undefined;
  #closing = new AbortController();

  /** @param open gives up when its signal is aborted */
  constructor(open: (closing: AbortSignal) => Promise<ThreadPool>) {
    this.#open = open;
  }

  opened(): Promise<ThreadPool> {
    this.#pool ??= this.#open(this.#closing.signal);
    return this.#pool;
  }

  async start(): Promise<void> {
    this.#users++;
    await this.opened();
  }

  async stop(): Promise<void> {
    this.#users--;
    if (this.#users === 0) await this.close();
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    // A file that is still being loaded may never be.
    this.#closing.abort(new IllegalStateError('the threads were ended'));
    this.#closing = new AbortController();
    // One that could not be opened has nothing to close, and whoever opened it knows.
    await (await pool?.catch(() => undefined))?.close();
  }
}

function checkArguments(file: unknown, options: unknown): void {
  const isFile = (value: unknown): boolean => has('href', 'protocol')(value) && (value as URL).protocol === 'file:';
  check('file', file, "the URL of a file, such as new URL('./handler.js', import.meta.url)", isFile);
  checkObject('options', options);
  const { threads, execArgv, loadTimeoutMs } = options as Readonly<Record<keyof ThreadOptions, unknown>>;
  optional('threads', threads, positiveInteger);
  optional('loadTimeoutMs', loadTimeoutMs, atLeastOne);
  const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === 'string');
  if (execArgv !== undefined) check('execArgv', execArgv, "an array of Node's options", areTexts);
  const { href, pathname } = file as URL;
  if (
    /\.[cm]?tsx?$/.test(pathname) &&
    !loadsTypeScript((execArgv as readonly string[] | undefined) ?? process.execArgv)
  )
    throw new InvalidOptionError(
      'file',
      "JavaScript; or, with tsx installed, execArgv: ['--import', 'tsx'] beside a file in TypeScript",
      href,
    );
}

function loadsTypeScript(execArgv: readonly string[]): boolean {
  const { typescript } = process.features as { readonly typescript?: unknown };
  return (typescript !== undefined && typescript !== false) || execArgv.some((arg) => LOADS_MORE.test(arg));
}
