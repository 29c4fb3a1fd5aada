/**
 * Where time comes from: the system's clock in production, a virtual one in tests.
 * Everything in the engine that waits or measures asks a clock, so a test decides what time it is.
 */
export interface Clock {
  /** Milliseconds since the epoch. Need not be whole. */
  now(): number;
  /** Runs `run` once after `ms` milliseconds unless it is cleared before. */
  setTimeout(run: () => void, ms: number): Timer;
}

/** A pending timeout of a {@link Clock}. */
export interface Timer {
  clear(): void;
}

/** The longest delay that Node's timers take; a longer one would fire at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** The system's clock. It never goes back, also when the system's time is set: timeouts and durations are measured with it. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  setTimeout(run, ms) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMEOUT_MS));
    return { clear: () => clearTimeout(timer) };
  },
};
