import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { systemClock } from '../clock.ts';
import { InvalidOptionError } from '../errors.ts';
import type { HandlerContext } from '../handler.ts';
import { NonRetriableError } from '../handler-errors.ts';
import { toError } from '../kafka-worker-error.ts';
import { stderrLogger } from '../logger.ts';
import type { KafkaRecord } from '../record.ts';
import { fromCrossing, toCrossing } from './crossing-errors.ts';
import { piscinaNotLoaded } from './piscina-not-loaded.ts';
import { copyForThread } from './thread-handler.ts';
import type { FromThread, ThreadOutcome, ThreadTask, ToThread } from './thread-messages.ts';

/** What an aborted handler gets to return, before its thread is ended. Less than `stuckAfterMs` is by default. */
const END_AFTER_MS = 5_000;
/** A thread costs some 30 ms to start and some MiB to keep. */
const IDLE_MS = 30_000;

/** What a pool is made of. */
export interface ThreadPoolParts {
  readonly file: URL;
  readonly threads: number;
  readonly execArgv: readonly string[] | undefined;
  /** How long the file may take to load. */
  readonly loadTimeoutMs: number;
  /** Aborted when the pool is not wanted any more. */
  readonly closing: AbortSignal;
}

/** Threads that call the default export of a file. */
export class ThreadPool {
  readonly #piscina: Piscina<ThreadTask, ThreadOutcome>;
  readonly #url: string;

  private constructor(piscina: Piscina<ThreadTask, ThreadOutcome>, url: string) {
    this.#piscina = piscina;
    this.#url = url;
  }

  /**
   * Starts the first thread, and loads the file in it.
   * @throws MissingDependencyError without piscina
   * @throws InvalidOptionError when the file cannot be loaded in time, or exports no function
   */
  static async open({ file, threads, execArgv, loadTimeoutMs, closing }: ThreadPoolParts): Promise<ThreadPool> {
    const { Piscina } = await import('piscina').catch((error: unknown) => {
      throw piscinaNotLoaded(error);
    });
    const piscina = new Piscina<ThreadTask, ThreadOutcome>({
      ...ownThread(execArgv),
      ...{ minThreads: 1, maxThreads: threads, idleTimeout: IDLE_MS, recordTiming: false },
      // Else what a thread has open, such as a connection, would stand still between two records.
      atomics: 'disabled',
    });
    piscina.on('error', (error: unknown) =>
      stderrLogger.warn('a thread of inThreads() ended', { error: toError(error) }),
    );
    const pool = new ThreadPool(piscina, file.href);
    const late = new AbortController();
    const timer = systemClock.setTimeout(
      () => late.abort(new Error(`it has not been loaded within ${loadTimeoutMs} ms: does it await something?`)),
      loadTimeoutMs,
    );
    try {
      await pool.#check(AbortSignal.any([late.signal, closing]));
      return pool;
    } catch (error) {
      await pool.close();
      throw error;
    } finally {
      timer.clear();
    }
  }

  /** Resolves or rejects as the handler does. */
  async call(handled: KafkaRecord<unknown, unknown>, context: HandlerContext): Promise<void> {
    const { signal, attempt } = context;
    signal.throwIfAborted();
    const { record, moved } = copyForThread(handled);
    const { port1: port, port2 } = new MessageChannel();
    const call = new ThreadCall(port, context);
    const task: ThreadTask = { url: this.#url, call: { record, attempt, port: port2 } };
    let outcome: ThreadOutcome;
    try {
      outcome = await this.#piscina.run(task, { transferList: [port2, ...moved], signal: call.killed });
    } catch (thrown) {
      throw call.failure(thrown);
    } finally {
      call.end();
    }
    if (outcome.error !== undefined) throw fromCrossing(outcome.error);
    if (call.refused !== undefined) throw toError(call.refused);
  }

  /** Ends the threads, whatever they do. */
  async close(): Promise<void> {
    await this.#piscina.destroy();
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { type, error } = await this.#loaded(signal);
    const expected = 'a module whose default export is a function (record, context)';
    if (error === undefined && type === 'function') return;
    if (error === undefined) throw new InvalidOptionError('file', `${expected}, and not of type ${type}`, this.#url);
    const cause = toError(fromCrossing(error));
    const refused = new InvalidOptionError(
      'file',
      `${expected}, which loads in a thread (${cause.message})`,
      this.#url,
    );
    refused.cause = cause;
    throw refused;
  }

  /** Ends the thread that still loads the file when the signal is aborted. */
  async #loaded(signal: AbortSignal): Promise<ThreadOutcome> {
    try {
      signal.throwIfAborted();
      return await this.#piscina.run({ url: this.#url, call: undefined }, { signal });
    } catch (thrown) {
      return { error: toCrossing(signal.aborted ? signal.reason : thrown) };
    }
  }
}

/** The main thread's side of one call. */
class ThreadCall {
  readonly #port: MessagePort;
  readonly #context: HandlerContext;
  readonly #killer = new AbortController();
  readonly #onAbort = (): void => this.#abort();
  #isStarted = false;
  #timer: NodeJS.Timeout | undefined;
  /** Why the first message that could not be sent could not. */
  refused: unknown;

  constructor(port: MessagePort, context: HandlerContext) {
    this.#port = port;
    this.#context = context;
    port.on('message', (message: FromThread) => this.#hear(message));
    context.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Aborted when the call is to be ended by force. */
  get killed(): AbortSignal {
    return this.#killer.signal;
  }

  #drain(): void {
    for (let next = this.#receive(); next !== undefined; next = this.#receive()) this.#hear(next.message);
  }

  /** What the pool's own errors mean. */
  failure(thrown: unknown): Error {
    if (this.#killer.signal.aborted) return toError(this.#context.signal.reason);
    const error = toError(fromCrossing(toCrossing(thrown)));
    if (error.name === 'DataCloneError')
      return new NonRetriableError(
        `the record cannot be given to a thread: ${error.message}. Leave the deserializer out, and decode in the thread`,
        { cause: error },
      );
    if (/^worker exited with code/.test(error.message))
      return new Error(`the thread ended while it handled the record: ${error.message}`, { cause: error });
    return error;
  }

  /** What the thread has said, and nobody has listened to yet, is all there when it has answered. */
  end(): void {
    this.#drain();
    clearTimeout(this.#timer);
    this.#context.signal.removeEventListener('abort', this.#onAbort);
    this.#port.close();
  }

  #receive(): { readonly message: FromThread } | undefined {
    return receiveMessageOnPort(this.#port);
  }

  #hear(said: FromThread): void {
    if (said.is === 'started') this.#isStarted = true;
    else if (said.is === 'log') this.#context.log[said.level](said.message, said.fields);
    else {
      try {
        this.#context.send(said.message);
      } catch (error) {
        this.refused ??= error;
      }
    }
  }

  #abort(): void {
    this.#drain();
    // One that waits for a thread has nothing to give up.
    if (!this.#isStarted) {
      this.#killer.abort();
      return;
    }
    const message: ToThread = { abort: toCrossing(this.#context.signal.reason) };
    this.#port.postMessage(message);
    this.#timer = setTimeout(() => this.#killer.abort(), END_AFTER_MS);
  }
}

/** The file that each thread runs, built or from source. */
function ownThread(execArgv: readonly string[] | undefined): { filename: string; execArgv?: string[] } {
  const extension = /\.\w+$/.exec(new URL(import.meta.url).pathname)?.[0] ?? '.mjs';
  const { href } = new URL(`./thread${extension}`, import.meta.url);
  const given = execArgv ?? process.execArgv;
  const isLoaded = extension !== '.ts' || given.some((arg) => arg.includes('tsx'));
  if (isLoaded && execArgv === undefined) return { filename: href };
  return { filename: href, execArgv: isLoaded ? [...given] : [...given, '--import', 'tsx'] };
}
