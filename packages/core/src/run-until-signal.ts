import { toError } from './kafka-worker-error.ts';
import { type Logger, stderrLogger } from './logger.ts';
import { loggerThatMayFail } from './logger-that-may-fail.ts';
import { check, has, nonNegative, optional } from './option-checks.ts';
import { type Runnable, summariesOf } from './runnable.ts';
import { checkObject } from './worker-checks.ts';

/** How long after the deadline the process may take to end by itself. */
const KILL_AFTER_MS = 10_000;

/** Longer timers fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** npm and some supervisors pass a signal on that the process has got already: one that follows this soon is the same. */
const SAME_SIGNAL_MS = 500;

/** What `onShutdown` gets at least, when the worker has used the time up. */
const MIN_SHUTDOWN_MS = 2_000;

/** What happens around a signal. */
export interface RunUntilSignalOptions {
  /** From the signal on, for running handlers and for `onShutdown` together. In milliseconds. @defaultValue 25_000 */
  readonly timeoutMs?: number;
  /** The user's own resources, closed when the worker is; inside the same time. */
  readonly onShutdown?: () => Promise<void>;
  /** @defaultValue warnings and errors, to stderr */
  readonly logger?: Logger;
}

/**
 * Runs a worker, or a group of workers, until SIGINT or SIGTERM, or until it ends by itself; starts it if nobody has. Rejects only for options that are
 * none: what goes wrong later it logs, and sets the process's exit code (0 after a clean stop, 1 otherwise). A second signal, or a process that is still
 * there far past the deadline, also when only a native handle or a handler that ignores its signal keeps it, is ended by SIGKILL, because
 * `process.exit` can crash a process with live native clients.
 *
 * @throws InvalidOptionError for options that are none, before anything else
 */
export async function runUntilSignal(target: Runnable, options: RunUntilSignalOptions = {}): Promise<void> {
  checkArguments(target, options);
  const { timeoutMs = 25_000, onShutdown } = options;
  const logger = options.logger === undefined ? stderrLogger : loggerThatMayFail(options.logger);
  const { name } = target;
  let signalledAt: number | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  const remainingMs = (): number =>
    Math.max(signalledAt === undefined ? timeoutMs : timeoutMs - (Date.now() - signalledAt), MIN_SHUTDOWN_MS);
  const killAfter = (ms: number): void => {
    const afterMs = Math.min(ms, MAX_TIMER_MS);
    killTimer ??= setTimeout(() => {
      logger.error('the shutdown hangs: the process ends at once', { afterMs });
      process.kill(process.pid, 'SIGKILL');
    }, afterMs);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signalledAt !== undefined && Date.now() - signalledAt < SAME_SIGNAL_MS) return;
    if (signalledAt !== undefined) {
      logger.error('second signal: the process ends at once', { signal });
      process.kill(process.pid, 'SIGKILL');
      return;
    }
    signalledAt = Date.now();
    logger.info('stopping', { signal, worker: name, timeoutMs });
    killAfter(timeoutMs + KILL_AFTER_MS);
    void target.stop({ timeoutMs });
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    if (target.state === 'idle') await target.start();
    const summaries = summariesOf(await target.finished);
    const sum = (of: 'handled' | 'failed'): number => summaries.reduce((all, one) => all + one[of], 0);
    logger.info('stopped', { worker: name, handled: sum('handled'), failed: sum('failed') });
  } catch (thrown) {
    const stopped = summariesOf(await target.stop());
    // Whoever stops it while it starts makes start reject; the stop itself went well.
    const isClean = target.state === 'stopped';
    const error = stopped.find((one) => one.error !== undefined)?.error ?? (isClean ? undefined : toError(thrown));
    if (error !== undefined) {
      process.exitCode = 1;
      logger.error('the worker ended with an error', { worker: name, error });
    }
    // Their handlers may run for ever, and keep their partitions as long: only the end of the process frees them.
    if (stopped.some(({ stuck }) => stuck !== undefined)) killAfter(remainingMs() + KILL_AFTER_MS);
  } finally {
    await shutDownOwn(onShutdown, remainingMs(), logger);
    // It stays set: something native may keep the process alive. A process that ends by itself does not wait for it.
    killTimer?.unref();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

function checkArguments(target: unknown, options: RunUntilSignalOptions): void {
  check('target', target, 'a worker or a group, made with new', has('start', 'stop', 'finished', 'state'));
  checkObject('options', options);
  const { timeoutMs, onShutdown, logger } = options;
  optional('timeoutMs', timeoutMs, nonNegative);
  if (onShutdown !== undefined) check('onShutdown', onShutdown, 'a function', (v) => typeof v === 'function');
  if (logger !== undefined)
    check('logger', logger, 'an object with debug, info, warn and error', has('debug', 'info', 'warn', 'error'));
}

async function shutDownOwn(
  onShutdown: (() => Promise<void>) | undefined,
  timeoutMs: number,
  logger: Logger,
): Promise<void> {
  if (onShutdown === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`onShutdown did not end within ${Math.round(timeoutMs)} ms`)),
      Math.min(timeoutMs, MAX_TIMER_MS),
    );
  });
  try {
    await Promise.race([onShutdown(), timeout]);
  } catch (thrown) {
    process.exitCode = 1;
    logger.error('onShutdown failed', { error: toError(thrown) });
  } finally {
    clearTimeout(timer);
  }
}
