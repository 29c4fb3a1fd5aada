import { IllegalStateError, InvalidOptionError } from './errors.ts';
import { toError } from './kafka-worker-error.ts';
import type { WorkerState } from './lifecycle.ts';
import { check, has, nonEmptyString, optional } from './option-checks.ts';
import type { StopOptions } from './stop-options.ts';
import type { Worker } from './worker.ts';
import { checkObject, checkStart, checkStop } from './worker-checks.ts';
import type { WorkerHealth, WorkerStatus, WorkerSummary } from './worker-status.ts';

/** A worker of any types. */
export type AnyWorker = Pick<
  Worker,
  | 'name'
  | 'state'
  | 'finished'
  | 'start'
  | 'stop'
  | 'unfreeze'
  | 'status'
  | 'health'
  | 'on'
  | typeof Symbol.asyncDispose
>;

/**
 * Several workers of one process, started and stopped together. One that fails, or that ends by itself, stops the others gracefully: each finishes
 * what it runs. Like a worker it is used once, installs no signal handlers and never ends the process; see `runUntilSignal` for both.
 */
export class WorkerGroup implements AsyncDisposable {
  /**
   * How the workers ended, in the order in which they came; then those that were removed, if their handlers have not returned. Rejects with the first error, once all are closed;
   * unwatched, that ends the process by Node's own rule. After a call of `stop`, or a `start` that rejected, it counts as watched.
   */
  readonly finished: Promise<readonly WorkerSummary[]>;
  /** For logs. */
  readonly name: string;
  readonly #workers = new Set<AnyWorker>();
  /** Taken out, or never taken in for good: how these end changes nothing. */
  readonly #leaving = new WeakSet<AnyWorker>();
  readonly #removing = new Set<Promise<WorkerSummary>>();
  /** Of removed workers whose handlers have not returned. */
  readonly #stuck: WorkerSummary[] = [];
  readonly #watchers = new Set<(worker: AnyWorker) => void>();
  #state: WorkerState = 'idle';
  #firstError: Error | undefined;
  #ending: Promise<readonly WorkerSummary[]> | undefined;
  #resolveFinished: (summaries: readonly WorkerSummary[]) => void = () => {};
  #rejectFinished: (error: Error) => void = () => {};
  #forgetSignal: () => void = () => {};

  /** @throws {@link InvalidOptionError} for what is no list of workers, and for one that is in it twice or was started before */
  constructor(workers: readonly AnyWorker[], options: { readonly name?: string } = {}) {
    check('workers', workers, 'an array of workers', Array.isArray);
    checkObject('options', options);
    optional('name', options.name, nonEmptyString);
    for (const [i, worker] of workers.entries()) this.#take(`workers[${i}]`, worker);
    this.name = options.name ?? 'group';
    this.finished = new Promise((resolve, reject) => {
      this.#resolveFinished = resolve;
      this.#rejectFinished = reject;
    });
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Those that belong to it now. */
  get workers(): readonly AnyWorker[] {
    return [...this.#workers];
  }

  /**
   * Tells of each worker that belongs to it, now or later; for listeners, say. The returned function ends that. With a listener that throws, nothing is
   * added.
   */
  onWorker(listener: (worker: AnyWorker) => void): () => void {
    check('listener', listener, 'a function', (value) => typeof value === 'function');
    for (const worker of this.#workers) listener(worker);
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  /**
   * Starts all of them at the same time. When one cannot be started the others are stopped, and it rejects with the first error, as `finished` does.
   * @throws {@link IllegalStateError} when it was started before; see `Worker.start` for what a worker's own start rejects with
   */
  async start(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    checkStart(options);
    if (this.#state !== 'idle')
      throw new IllegalStateError(`the group is ${this.#state}: it can be started once, make a new one`);
    this.#state = 'starting';
    const { signal } = options;
    if (signal !== undefined) {
      const onAbort = (): void => void this.stop();
      signal.addEventListener('abort', onAbort, { once: true });
      // Not by `finished`: listening to that would make an unwatched failure a watched one.
      this.#forgetSignal = () => signal.removeEventListener('abort', onAbort);
    }
    const starting = Array.from(this.#workers, async (worker) => {
      try {
        await this.#startOne(worker, options);
      } catch (error) {
        // One that was taken out meanwhile was stopped by that.
        if (!this.#leaving.has(worker)) throw error;
      }
    });
    if (signal?.aborted === true) void this.stop();
    const started = await Promise.allSettled(starting);
    const refused = started.find((one) => one.status === 'rejected');
    if (this.#ending === undefined && refused === undefined) {
      this.#state = 'running';
      return;
    }
    // One that somebody else has started is refused, and has not ended by that.
    if (this.#ending === undefined) this.#firstError = toError(refused?.reason);
    this.finished.catch(() => {});
    await this.#end({});
    throw (
      this.#firstError ?? toError(refused?.reason ?? signal?.reason ?? new IllegalStateError('the group was stopped'))
    );
  }

  /**
   * Stops all of them at the same time, each as `Worker.stop` does. Never rejects: what went wrong is in the summaries. A second call gives the first
   * one's promise.
   * @throws {@link InvalidOptionError} at once, for options that are none; nothing is stopped then
   */
  stop(options: StopOptions = {}): Promise<readonly WorkerSummary[]> {
    checkStop(options);
    this.finished.catch(() => {});
    return this.#end(options);
  }

  /**
   * Takes one more in. In a group that runs it is started; when it cannot be, this rejects with the reason, and the group goes on without it.
   * @throws {@link IllegalStateError} when the group is ending
   * @throws {@link InvalidOptionError} for what is no worker, or one that was started before
   */
  async add(worker: AnyWorker): Promise<void> {
    if (this.#ending !== undefined) throw new IllegalStateError(`the group is ${this.#state}: nothing can be added`);
    this.#take('worker', worker);
    if (this.#state === 'idle') return;
    this.#leaving.add(worker);
    try {
      await this.#startOne(worker, {});
    } catch (error) {
      this.#workers.delete(worker);
      throw error;
    } finally {
      this.#leaving.delete(worker);
    }
    // It may have ended before it was one of us, and the group may have begun to end before it could be told.
    if (worker.state !== 'running') void this.#ended(worker);
    else if (this.#ending !== undefined) await worker.stop();
  }

  /**
   * Stops one and takes it out; the others go on, however it ends. Its error is in its summary. Except with a handler that never returns: what that
   * keeps (see `onStuckHandler`) only the end of the process frees, and so the group ends with its error.
   * @throws {@link IllegalStateError} for one that is not in the group
   */
  async remove(worker: AnyWorker, options: StopOptions = {}): Promise<WorkerSummary> {
    checkStop(options);
    if (!this.#workers.has(worker)) throw new IllegalStateError('this worker is not in the group');
    this.#leaving.add(worker);
    this.#workers.delete(worker);
    const removed = worker.stop(options);
    this.#removing.add(removed);
    try {
      const summary = await removed;
      if (summary.stuck !== undefined) {
        this.#stuck.push(summary);
        this.#firstError ??= summary.error;
        void this.#end({});
      }
      return summary;
    } finally {
      this.#removing.delete(removed);
    }
  }

  /** Live and ready are what all of its workers are; the reasons name them. */
  health(): WorkerHealth {
    const all = Array.from(this.#workers, (worker) => ({ worker, health: worker.health() }));
    const reasons = all.flatMap(({ worker, health }) => health.reasons.map((reason) => `${worker.name}: ${reason}`));
    if (all.length === 0) reasons.push('the group has no workers');
    return {
      live: this.#state !== 'failed' && all.every(({ health }) => health.live),
      ready: this.#state === 'running' && all.length > 0 && all.every(({ health }) => health.ready),
      reasons,
    };
  }

  /** Of each worker, in the order in which they came. */
  status(): readonly (WorkerStatus & { readonly name: string })[] {
    return Array.from(this.#workers, (worker) => ({ name: worker.name, ...worker.status() }));
  }

  /** `stop()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #take(option: string, worker: AnyWorker): void {
    check(option, worker, 'a worker, made with new Worker()', has('start', 'stop', 'finished', 'health', 'on'));
    if (this.#workers.has(worker))
      throw new InvalidOptionError(option, 'a worker that is not in the group', worker.name);
    if (worker.state !== 'idle')
      throw new InvalidOptionError(
        option,
        'a worker that was not started: the group does that',
        `${worker.name}, which is ${worker.state}`,
      );
    this.#workers.add(worker);
    try {
      for (const listener of this.#watchers) listener(worker);
    } catch (error) {
      this.#workers.delete(worker);
      throw error;
    }
  }

  async #startOne(worker: AnyWorker, options: { readonly signal?: AbortSignal }): Promise<void> {
    const ended = (): void => void this.#ended(worker);
    worker.finished.then(ended, ended);
    try {
      await worker.start(options);
    } catch (error) {
      // One that goes on all the same was started by somebody else, and is theirs.
      if (worker.state !== 'stopped' && worker.state !== 'failed') this.#workers.delete(worker);
      throw error;
    }
  }

  /** One has ended. If nobody asked for it, the others follow. */
  async #ended(worker: AnyWorker): Promise<void> {
    if (this.#leaving.has(worker) || !this.#workers.has(worker)) return;
    const error = await worker.finished.then(
      () => undefined,
      (thrown: unknown) => toError(thrown),
    );
    this.#firstError ??= error;
    await this.#end({});
  }

  #end(options: StopOptions): Promise<readonly WorkerSummary[]> {
    this.#ending ??= this.#stopAll(options);
    return this.#ending;
  }

  async #stopAll(options: StopOptions): Promise<readonly WorkerSummary[]> {
    this.#state = 'draining';
    const ended = await Promise.all(Array.from(this.#workers, (worker) => worker.stop(options)));
    await Promise.all(this.#removing);
    const summaries = [...ended, ...this.#stuck];
    const error = this.#firstError ?? summaries.find((summary) => summary.error !== undefined)?.error;
    this.#state = error === undefined ? 'stopped' : 'failed';
    this.#forgetSignal();
    if (error === undefined) this.#resolveFinished(summaries);
    else this.#rejectFinished(error);
    return summaries;
  }
}
