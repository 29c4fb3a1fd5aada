import type { Clock } from './clock.ts';
import { AssignmentHookError, IllegalStateError } from './errors.ts';
import type { TopicPartition } from './record.ts';
import { withTimeout } from './with-timeout.ts';

/** What a hook may need beside the partitions. */
export interface AssignmentHookContext {
  /** Aborted when the hook's time is up; of `onAssigned` also when the worker ends, which needs no partition any more. */
  readonly signal: AbortSignal;
}

/** What `onRevoked` may need beside the partitions. */
export interface RevocationHookContext extends AssignmentHookContext {
  /** Taken away without asking: another member may have them already, so nothing may be written for them any more. */
  readonly lost: boolean;
}

/** Awaited before the first record of the partitions is handled: read the state there that the handler needs. */
export type OnAssigned = (partitions: readonly TopicPartition[], context: AssignmentHookContext) => unknown;

/** Awaited when the partitions' last handler has returned and their last commit is acknowledged, before another member gets them. */
export type OnRevoked = (partitions: readonly TopicPartition[], context: RevocationHookContext) => unknown;

/** What `onRevoked` gets at least at the end of a worker, whatever came before it has used up. */
export const MIN_HOOK_MS = 2_000;

/** What hooks are called with. */
export interface AssignmentHookParts {
  readonly onAssigned: OnAssigned | undefined;
  readonly onRevoked: OnRevoked | undefined;
  readonly clock: Clock;
  /** What `onAssigned` gets; for `onRevoked` the caller knows. */
  readonly timeoutMs: number;
}

interface RunningHook {
  readonly hook: 'onAssigned' | 'onRevoked';
  readonly call: Promise<unknown>;
  readonly controller: AbortController;
  /** Nobody waits for it any more. */
  readonly giveUp: () => void;
}

/**
 * The user's hooks around an assignment. Every partition that `onAssigned` was told of, also one for which it failed, is told to `onRevoked` once,
 * whatever becomes of it in between.
 */
export class AssignmentHooks {
  readonly #parts: AssignmentHookParts;
  readonly #told = new Map<string, TopicPartition>();
  readonly #running = new Set<RunningHook>();
  #isStopped = false;

  constructor(parts: AssignmentHookParts) {
    this.#parts = parts;
  }

  /** What is assigned from now on is not handled any more, and so no hook is told of it. */
  stop(): void {
    this.#isStopped = true;
  }

  /** @throws AssignmentHookError when the hook fails, or takes too long */
  async assigned(given: readonly TopicPartition[]): Promise<void> {
    const { onAssigned, timeoutMs } = this.#parts;
    const partitions = plain(given);
    if (partitions.length === 0 || this.#isStopped) return;
    for (const one of partitions) this.#told.set(nameOf(one), one);
    if (onAssigned !== undefined)
      await this.#call('onAssigned', (signal) => onAssigned(partitions, { signal }), timeoutMs);
  }

  /** @throws AssignmentHookError when the hook fails, or takes too long */
  async revoked(given: readonly TopicPartition[], lost: boolean, timeoutMs: number): Promise<void> {
    const { onRevoked } = this.#parts;
    const partitions = plain(given).filter((one) => this.#told.delete(nameOf(one)));
    if (partitions.length === 0 || onRevoked === undefined) return;
    await this.#call('onRevoked', (signal) => onRevoked(partitions, { signal, lost }), timeoutMs);
  }

  /**
   * The worker ends: what is being prepared is wanted no more, what is being put away has the time, and what is still assigned is revoked, but for what
   * is kept still.
   */
  async ended(timeoutMs: number, kept: readonly TopicPartition[]): Promise<void> {
    const { clock } = this.#parts;
    const startedAt = clock.now();
    for (const { hook, controller } of this.#running)
      if (hook === 'onAssigned') controller.abort(new IllegalStateError('the worker ends'));
    await withTimeout(Promise.allSettled(Array.from(this.#running, ({ call }) => call)), timeoutMs, clock);
    const late = this.#giveUp(timeoutMs);
    const names = new Set(kept.map(nameOf));
    const gone = [...this.#told.values()].filter((one) => !names.has(nameOf(one)));
    const remainingMs = Math.max(timeoutMs - (clock.now() - startedAt), MIN_HOOK_MS);
    await this.revoked(gone, false, remainingMs);
    if (late !== undefined) throw late;
  }

  /** What has not put away its state in time is an error, if that is not known already. */
  #giveUp(timeoutMs: number): AssignmentHookError | undefined {
    let late: AssignmentHookError | undefined;
    for (const { hook, controller, giveUp } of this.#running) {
      if (!controller.signal.aborted) {
        late = notReturned(hook, timeoutMs);
        controller.abort(late);
      }
      giveUp();
    }
    return late;
  }

  async #call(hook: RunningHook['hook'], run: (signal: AbortSignal) => unknown, timeoutMs: number): Promise<void> {
    const controller = new AbortController();
    const call = (async () => run(controller.signal))();
    let giveUp = (): void => {};
    const givenUp = new Promise<void>((resolve) => {
      giveUp = resolve;
    });
    const running = { hook, call, controller, giveUp };
    this.#running.add(running);
    const returned = (): void => void this.#running.delete(running);
    call.then(returned, returned);
    let inTime: boolean;
    try {
      inTime = await withTimeout(Promise.race([call, givenUp]), timeoutMs, this.#parts.clock);
    } catch (thrown) {
      // Told that the worker ends, it has every right to reject.
      if (controller.signal.aborted) return;
      throw new AssignmentHookError(hook, 'failed', thrown);
    }
    if (inTime) return;
    const error = notReturned(hook, timeoutMs);
    controller.abort(error);
    throw error;
  }
}

function notReturned(hook: RunningHook['hook'], timeoutMs: number): AssignmentHookError {
  return new AssignmentHookError(hook, `did not return within ${Math.round(timeoutMs)} ms`);
}

function plain(partitions: readonly TopicPartition[]): TopicPartition[] {
  return partitions.map(({ topic, partition }) => ({ topic, partition }));
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
