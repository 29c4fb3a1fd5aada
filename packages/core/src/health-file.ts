import { rmSync, writeFileSync } from 'node:fs';
import { toError } from './kafka-worker-error.ts';
import { type Logger, stderrLogger } from './logger.ts';
import { loggerThatMayFail } from './logger-that-may-fail.ts';
import { atLeastOne, check, has, nonEmptyString, optional } from './option-checks.ts';
import { checkObject } from './worker-checks.ts';
import type { AnyWorker, WorkerGroup } from './worker-group.ts';

/** As often as an idle worker's loop turns. */
const EVERY_MS = 1_000;

/** Which file says that a worker lives. */
export interface HealthFileOptions {
  /** In memory, or on the container's own disk: it is written to while records wait. */
  readonly path: string;
  /** It is not touched more often. In milliseconds. @defaultValue 1_000 */
  readonly everyMs?: number;
  /** Gets a warning when the file cannot be written. @defaultValue warnings and errors, to stderr */
  readonly logger?: Logger;
}

/**
 * A file that is touched, and made again if it is gone, as long as the worker is live: for probes that run a command, and look at its age, or remove it
 * and wait for it. The worker's own loop does it, at least every other second; while handlers hold the event loop, or polls do not come back, nobody
 * does. Of a group every loop has to have turned; one without workers has none, and its file grows old. It is touched also now, and when the worker
 * starts; while it connects, for up to `connectTimeoutMs`, it is not. Disposing removes it.
 *
 * A file that cannot be written is a warning, once, and the worker goes on.
 *
 * @throws {@link InvalidOptionError} for options that are none
 */
export function healthFile(target: AnyWorker | WorkerGroup, options: HealthFileOptions): Disposable & AsyncDisposable {
  check('target', target, 'a worker or a group, made with new', isTarget);
  checkObject('options', options);
  const { path, everyMs, logger } = options;
  nonEmptyString('path', path);
  optional('everyMs', everyMs, atLeastOne);
  if (logger !== undefined)
    check('logger', logger, 'an object with debug, info, warn and error', has('debug', 'info', 'warn', 'error'));
  return new HealthFile(target, {
    path,
    everyMs: everyMs ?? EVERY_MS,
    logger: logger === undefined ? stderrLogger : loggerThatMayFail(logger),
  });
}

class HealthFile implements Disposable, AsyncDisposable {
  readonly #target: AnyWorker | WorkerGroup;
  readonly #options: Required<HealthFileOptions>;
  readonly #listening = new Set<() => void>();
  /** Whose loops have turned since the file was touched. */
  readonly #turned = new Set<AnyWorker>();
  #touchedAt = Number.NEGATIVE_INFINITY;
  #hasFailed = false;

  constructor(target: AnyWorker | WorkerGroup, options: Required<HealthFileOptions>) {
    this.#target = target;
    this.#options = options;
    this.#touch();
    if ('onWorker' in target) this.#listening.add(target.onWorker((worker) => this.#listen(worker)));
    else this.#listen(target);
  }

  [Symbol.dispose](): void {
    for (const end of this.#listening) end();
    this.#listening.clear();
    try {
      rmSync(this.#options.path, { force: true });
    } catch (thrown) {
      this.#failed('the health file cannot be removed', thrown);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
  }

  #listen(worker: AnyWorker): void {
    const ends = [
      worker.on('turned', () => this.#loopTurned(worker)),
      worker.on('state', ({ to }) => {
        if (to === 'starting') this.#touch();
        if (to === 'stopped' || to === 'failed') this.#forget(worker, ends);
      }),
    ];
    for (const end of ends) this.#listening.add(end);
  }

  /** A group that takes workers in and out for as long as the process runs keeps none of them alive by this. */
  #forget(worker: AnyWorker, ends: readonly (() => void)[]): void {
    this.#turned.delete(worker);
    for (const end of ends) {
      end();
      this.#listening.delete(end);
    }
  }

  #loopTurned(worker: AnyWorker): void {
    this.#turned.add(worker);
    if (performance.now() - this.#touchedAt < this.#options.everyMs) return;
    // One that connects, or that closes, has no loop that turns; how long it may is bounded.
    const running = this.#workers.filter(({ state }) => state === 'running');
    if (running.every((one) => this.#turned.has(one))) this.#touch();
  }

  get #workers(): readonly AnyWorker[] {
    return 'workers' in this.#target ? this.#target.workers : [this.#target];
  }

  /** At once, not in the background: a background write would be half done while a handler holds the loop, or come after the file's removal. */
  #touch(): void {
    if (!this.#target.health().live) return;
    this.#turned.clear();
    this.#touchedAt = performance.now();
    try {
      writeFileSync(this.#options.path, `${new Date().toISOString()}\n`);
      this.#hasFailed = false;
    } catch (thrown) {
      if (!this.#hasFailed) this.#failed('the health file cannot be written: probes that look at it will fail', thrown);
      this.#hasFailed = true;
    }
  }

  #failed(message: string, thrown: unknown): void {
    const { path, logger } = this.#options;
    logger.warn(message, { path, error: toError(thrown) });
  }
}

function isTarget(value: unknown): boolean {
  return has('health', 'state')(value) && (has('on')(value) || has('onWorker', 'workers')(value));
}
