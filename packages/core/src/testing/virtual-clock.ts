import type { Clock, Timer } from '../clock.ts';

interface PendingTimer {
  readonly dueMs: number;
  readonly run: () => void;
}

/** What settles, settles, and what yields to the loop a few times gets its turns. */
const SETTLE_TURNS = 8;

/** More timers than this in one `advance` means that something sets itself again without a delay. */
const MOST_TIMERS_PER_ADVANCE = 10_000;

// Taken when the module is loaded, so that a test runner's fake timers do not stop it.
const nextTurn = setImmediate;

/**
 * A clock that stands still until a test moves it. Timers fire in the order in which they are due (those due at the same time in the order in
 * which they were set), and everything that their callbacks resolve has settled before the next one fires, so a test sees the same each time.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #isAdvancing = false;
  readonly #settleTurns: number;
  readonly #timers = new Set<PendingTimer>();

  /**
   * @param options.startMs Milliseconds since the epoch. @defaultValue the start of 2026, UTC
   * @param options.settleTurns Turns of the event loop after each timer; one is enough, and quicker, where nothing yields to it. @defaultValue 8
   */
  constructor(options: { readonly startMs?: number; readonly settleTurns?: number } = {}) {
    this.#nowMs = options.startMs ?? Date.UTC(2026, 0, 1);
    this.#settleTurns = options.settleTurns ?? SETTLE_TURNS;
  }

  now(): number {
    return this.#nowMs;
  }

  /** How many timers wait: 0 when everything that was started has also been cleared. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  setTimeout(run: () => void, ms: number): Timer {
    const timer: PendingTimer = { dueMs: this.#nowMs + Math.max(ms, 0), run };
    this.#timers.add(timer);
    return { clear: () => void this.#timers.delete(timer) };
  }

  /**
   * Moves time on by `ms` milliseconds and fires what becomes due on the way, also timers that are set meanwhile.
   * @throws whatever a timer's callback throws; the clock stands at that timer then
   */
  async advance(ms: number): Promise<void> {
    if (this.#isAdvancing) throw new Error('the clock is being advanced already: await the first advance');
    this.#isAdvancing = true;
    try {
      const untilMs = this.#nowMs + ms;
      await this.settle();
      for (let fired = 0; ; fired++) {
        const timer = this.#nextDue(untilMs);
        if (timer === undefined) break;
        if (fired === MOST_TIMERS_PER_ADVANCE)
          throw new Error(`more than ${MOST_TIMERS_PER_ADVANCE} timers fired in one advance`);
        this.#timers.delete(timer);
        this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
        timer.run();
        await this.settle();
      }
      this.#nowMs = untilMs;
    } finally {
      this.#isAdvancing = false;
    }
  }

  /** Lets everything settle that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < this.#settleTurns; turn++) await new Promise<void>((resolve) => void nextTurn(resolve));
  }

  #nextDue(untilMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}
