import { IllegalStateError, InvalidOptionError } from './errors.ts';
import { EventListeners, type WorkerEvents } from './events.ts';
import type { UnfreezeTarget } from './freezer.ts';
import { healthOf } from './health.ts';
import { toError } from './kafka-worker-error.ts';
import { logLateErrors } from './late-errors.ts';
import { Lifecycle, type WorkerState } from './lifecycle.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import { logRanges } from './log-range.ts';
import type { Plugin, PluginHost } from './plugin.ts';
import type { TopicPartition } from './record.ts';
import { type ResolvedWorkerOptions, resolveWorkerOptions } from './resolved-worker-options.ts';
import { statusOf } from './status.ts';
import { resolveStopOptions, type StopOptions } from './stop-options.ts';
import { withTimeout } from './with-timeout.ts';
import { checkPartition, checkPartitions, checkSeek, checkStart, checkStop } from './worker-checks.ts';
import type { WorkerOptions } from './worker-options.ts';
import { type RunEnd, WorkerRun } from './worker-run.ts';
import type { WorkerHealth, WorkerStatus, WorkerSummary } from './worker-status.ts';

const PLUGIN_STOP_TIMEOUT_MS = 5_000;

/**
 * Polls records of a consumer group's topics, runs the handler over them as concurrently as its strategy says, and moves the group's committed
 * offset only over records that are finished.
 *
 * It is used once: made, started, stopped. It installs no signal handlers and never ends the process; see `runUntilSignal` for both.
 *
 * @see https://kafka.apache.org/documentation/#intro_consumers
 */
export class Worker<Value = Buffer | null, Key = Buffer | null, Extra extends object = object>
  implements AsyncDisposable
{
  /**
   * How the worker ended. Rejects with the error that ended it, once everything is closed; unwatched, that ends the process by Node's own rule.
   * After a call of `stop`, or a `start` that rejected, it counts as watched.
   */
  readonly finished: Promise<WorkerSummary>;
  readonly #options: ResolvedWorkerOptions;
  readonly #events: EventListeners;
  readonly #lifecycle: Lifecycle;
  readonly #starting = new AbortController();
  #resolveFinished: (summary: WorkerSummary) => void = () => {};
  #rejectFinished: (error: Error) => void = () => {};
  #run: WorkerRun | undefined;
  #started: Promise<void> | undefined;
  #ending: Promise<WorkerSummary> | undefined;
  readonly #lateErrors: Error[] = [];
  /** What was asked for before there was anything to pause. */
  readonly #pauses: { readonly do: 'pause' | 'resume'; readonly partitions: readonly TopicPartition[] | undefined }[] =
    [];

  /** @throws {@link InvalidOptionError} naming the option, what was expected and what came */
  constructor(options: WorkerOptions<Value, Key, Extra>) {
    this.#options = resolveWorkerOptions(options);
    this.#events = new EventListeners(this.#options.logger);
    this.#lifecycle = new Lifecycle((change) => this.#events.emit('state', change));
    this.finished = new Promise((resolve, reject) => {
      this.#resolveFinished = resolve;
      this.#rejectFinished = reject;
    });
    for (const { listeners } of this.#options.plugins) this.#listen(listeners ?? {});
  }

  /** For logs and metrics. */
  get name(): string {
    return this.#options.name;
  }

  get groupId(): string {
    return this.#options.groupId;
  }

  get state(): WorkerState {
    return this.#lifecycle.state;
  }

  /**
   * Connects, looks the topics up, joins the group and begins to poll; partitions are assigned after that. An aborted `signal` stops the worker, now and later.
   *
   * @throws {@link InvalidOptionError} for options that are none; it can still be started then
   * @throws {@link IllegalStateError} when it was started before
   * @throws {@link ConnectionError} when no broker was reached within `connectTimeoutMs`
   * @throws {@link AuthenticationError}, {@link AuthorizationError}, {@link UnsupportedBrokerError}, {@link UnknownTopicError}
   */
  start(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    try {
      checkStart(options);
    } catch (error) {
      return Promise.reject(toError(error));
    }
    if (this.state !== 'idle') {
      return Promise.reject(
        new IllegalStateError(`the worker is ${this.state}: it can be started once, make a new one`),
      );
    }
    const { signal } = options;
    if (signal !== undefined) {
      if (signal.aborted) this.#starting.abort(signal.reason);
      const onAbort = (): void => void this.stop();
      signal.addEventListener('abort', onAbort, { once: true });
      // Not by `finished`: listening to that would make an unwatched failure a watched one.
      this.#forgetSignal = () => signal.removeEventListener('abort', onAbort);
    }
    this.#lifecycle.to('starting');
    this.#started = this.#start();
    return this.#started;
  }

  /**
   * Takes nothing new, lets running handlers end, commits what is finished, waits for the acknowledgement, and leaves the group.
   * Never rejects: what went wrong is the summary's `error`. A second call gives the first one's promise.
   *
   * @throws {@link InvalidOptionError} at once, for options that are none; nothing is stopped then
   */
  stop(options: StopOptions = {}): Promise<WorkerSummary> {
    checkStop(options);
    this.finished.catch(() => {});
    if (this.#ending === undefined && this.state === 'idle') {
      const summary: WorkerSummary = { state: 'stopped', handled: 0, failed: 0, left: [] };
      this.#ending = Promise.resolve(summary);
      this.#lifecycle.to('stopped');
      this.#resolveFinished(summary);
    }
    return this.#end(undefined, resolveStopOptions(options));
  }

  /**
   * Goes on from another offset of an assigned partition: what was polled of it is forgotten, running handlers of it are aborted and their results dropped.
   * Resolves when the next record that is handled is the one at (or the first behind) that offset.
   *
   * @throws {@link InvalidOptionError} for what is no partition or no place in it
   * @throws {@link IllegalStateError} when the partition is not assigned to this worker
   * @throws {@link OffsetOutOfRangeError} when its log does not have the offset; nothing has changed then
   */
  async seek(partition: TopicPartition, to: number | 'earliest' | 'latest' | Date): Promise<void> {
    checkSeek(partition, to);
    const run = this.#run;
    const { topic, partition: number } = partition;
    const isOwned = (): boolean => run?.engine?.assignment.get(partition)?.isStaying === true;
    const notOwned = (): IllegalStateError =>
      new IllegalStateError(`${topic}/${number} is not assigned to this worker: seek what status() lists`);
    if (run?.engine === undefined || this.state !== 'running' || !isOwned()) throw notOwned();
    let offset = to;
    if (typeof offset !== 'number') {
      const [found] = await run.consumer.offsetsFor([{ topic, partition: number }], offset);
      if (found === undefined || !isOwned()) throw notOwned();
      offset = found.offset;
    }
    const [range] = await logRanges(run.consumer, [{ topic, partition: number, offset }]);
    if (range === undefined) throw notOwned();
    if (offset < range.earliest || offset > range.latest) {
      throw new OffsetOutOfRangeError({ topic, partition: number, offset }, range);
    }
    await run.engine.repositioning.seek({ topic, partition: number, offset });
  }

  /**
   * Nothing of these partitions (without any: of all, also of those assigned later) is polled or started until `resume`; what runs may end, what was
   * polled is kept, and the membership stays. A partition that is assigned again is still paused.
   * @throws {@link InvalidOptionError} for what is no list of partitions
   */
  pause(partitions?: readonly TopicPartition[]): void {
    this.#pauses.push({ do: 'pause', partitions: checkPartitions(partitions) });
    this.#applyPauses();
  }

  /** Ends `pause` for these partitions; without any, for all, however they were paused. */
  resume(partitions?: readonly TopicPartition[]): void {
    this.#pauses.push({ do: 'resume', partitions: checkPartitions(partitions) });
    this.#applyPauses();
  }

  /**
   * Lets a frozen partition (or, with `key`, a frozen key of it; with `offset`, what is frozen just there) go on: the failed record is tried again, or
   * with `skip` passed over. `skip` is for one record, the first: others of its batch, and other failed records of the key, are tried again. What it is
   * frozen at is in `status()`.
   * @throws {@link IllegalStateError} when nothing is frozen there
   * @throws {@link InvalidOptionError} for what names no partition or key
   */
  async unfreeze(which: UnfreezeTarget): Promise<void> {
    checkPartition('which', which);
    const { key, offset, skip } = which;
    if (key !== undefined && key !== null && typeof key !== 'string' && !Buffer.isBuffer(key))
      throw new InvalidOptionError('key', 'a string, a Buffer or null', key);
    if (offset !== undefined && (!Number.isSafeInteger(offset) || key !== undefined))
      throw new InvalidOptionError('offset', 'a whole number, and no key beside it', offset);
    if (skip !== undefined && typeof skip !== 'boolean') throw new InvalidOptionError('skip', 'true or false', skip);
    const engine = this.#run?.engine;
    if (engine === undefined || this.state !== 'running')
      throw new IllegalStateError(`the worker is ${this.state}: nothing can be unfrozen`);
    await engine.unfreeze(which);
  }

  /** Per partition: next offset, committed offset, in flight, lag, and what blocks it. */
  status(): WorkerStatus {
    return statusOf(this.state, this.#run?.engine, this.#run?.consumer, this.#options.clock.now());
  }

  /** Whether the worker does its work, with reasons in words. */
  health(): WorkerHealth {
    return healthOf(this.state, this.#run?.engine, this.#options, this.#options.clock.now());
  }

  /**
   * Listens to an event; the returned function ends that.
   * @throws {@link InvalidOptionError} for an event that there is not, or a listener that is no function
   */
  on<E extends keyof WorkerEvents>(event: E, listener: WorkerEvents[E]): () => void {
    return this.#events.on(event, listener);
  }

  /** `stop()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #listen(listeners: NonNullable<Plugin['listeners']>): void {
    for (const [event, listener] of Object.entries(listeners)) {
      this.#events.on(event as keyof WorkerEvents, listener);
    }
  }

  #applyPauses(): void {
    const engine = this.#run?.engine;
    // While the worker stops, everything stands still by itself, and its client may be closed already.
    if (engine === undefined || (this.state !== 'starting' && this.state !== 'running')) return;
    for (const { do: what, partitions } of this.#pauses.splice(0)) engine[what](partitions);
  }

  async #start(): Promise<void> {
    const startedPlugins: Plugin[] = [];
    const host: PluginHost = { report: (error) => this.#events.emit('error', { error }) };
    this.#stopPlugins = () => stopPlugins(startedPlugins, this.#options);
    try {
      for (const plugin of this.#options.plugins) {
        startedPlugins.push(plugin);
        await plugin.start?.(this, host);
      }
      this.#starting.signal.throwIfAborted();
      this.#run = new WorkerRun(this.#options, this.#events, (error) => void this.#end(error, resolveStopOptions()));
      await this.#run.start(this.#starting.signal, () => this.#applyPauses());
      this.#starting.signal.throwIfAborted();
      // It may have failed already, in its first poll: then that is what start rejects with.
      this.#lifecycle.to('running');
    } catch (thrown) {
      this.finished.catch(() => {});
      const isStopped = this.#starting.signal.aborted;
      // A stop that came first waits for this method, and ends the run itself.
      if (isStopped && this.#ending !== undefined) throw toError(thrown);
      const { error } = await this.#end(isStopped ? undefined : toError(thrown), resolveStopOptions({ timeoutMs: 0 }));
      throw error ?? toError(thrown);
    }
  }

  #stopPlugins: () => Promise<Error[]> = () => Promise.resolve([]);

  #forgetSignal: () => void = () => {};

  /** One end, whoever asks for it first; an error that comes while it is under way becomes the summary's if it has none. */
  #end(error: Error | undefined, options: Required<StopOptions>): Promise<WorkerSummary> {
    if (this.#ending !== undefined) {
      if (error !== undefined) this.#lateErrors.push(error);
      return this.#ending;
    }
    let ended: (summary: WorkerSummary) => void = () => {};
    this.#ending = new Promise((resolve) => {
      ended = resolve;
    });
    void this.#shutDown(error, options).then(ended);
    return this.#ending;
  }

  async #shutDown(cause: Error | undefined, options: Required<StopOptions>): Promise<WorkerSummary> {
    if (this.state === 'starting' && cause === undefined && !this.#starting.signal.aborted) {
      this.#starting.abort(new IllegalStateError('the worker was stopped'));
      // A listener may stop it in the middle of `start`, which has not begun then.
      await Promise.resolve();
      // A plugin or a delivery that hangs while it starts must not keep the stop.
      await withTimeout(this.#started?.catch(() => {}) ?? Promise.resolve(), options.timeoutMs, this.#options.clock);
    }
    this.#lifecycle.to('draining');
    const nothing: RunEnd = { handled: 0, failed: 0, left: [], stuck: [], errors: [] };
    const end = (await this.#run?.end(options)) ?? nothing;
    const errors = [...end.errors, ...(await this.#stopPlugins())];
    errors.unshift(...this.#lateErrors);
    const error = cause ?? errors[0];
    logLateErrors(
      errors.filter((other) => other !== error),
      this.#options.logger,
    );
    this.#lifecycle.to(error === undefined ? 'stopped' : 'failed');
    const { handled, failed, left, stuck } = end;
    const summary: WorkerSummary = {
      state: this.state,
      handled,
      failed,
      left,
      ...(stuck.length === 0 ? {} : { stuck }),
      ...(error === undefined ? {} : { error }),
    };
    this.#forgetSignal();
    if (error === undefined) this.#resolveFinished(summary);
    else this.#rejectFinished(error);
    return summary;
  }
}

async function stopPlugins(plugins: readonly Plugin[], { clock }: ResolvedWorkerOptions): Promise<Error[]> {
  const errors: Error[] = [];
  for (const plugin of [...plugins].reverse()) {
    try {
      const inTime = await withTimeout(Promise.resolve(plugin.stop?.()), PLUGIN_STOP_TIMEOUT_MS, clock);
      if (!inTime)
        errors.push(new IllegalStateError(`plugin ${plugin.name} did not stop within ${PLUGIN_STOP_TIMEOUT_MS} ms`));
    } catch (error) {
      errors.push(toError(error));
    }
  }
  return errors;
}
