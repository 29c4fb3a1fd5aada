/** Messages that are not constant must not fill the memory. */
const MAX_MESSAGES = 1_000;

/** How many lines of one message there may be in a window; what is beyond is counted, and told with the first line of the next one. */
export class LogRate {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #windows = new Map<string, { beganAt: number; lines: number; suppressed: number }>();

  constructor(most: number, windowMs: number) {
    this.#most = most;
    this.#windowMs = windowMs;
  }

  /** Undefined where the line is one too many; otherwise how many were left out before it. */
  admit(message: string, now: number): number | undefined {
    const window = this.#windows.get(message);
    if (window === undefined && this.#windows.size >= MAX_MESSAGES) this.#windows.clear();
    if (window === undefined || now - window.beganAt >= this.#windowMs) {
      this.#windows.set(message, { beganAt: now, lines: 1, suppressed: 0 });
      return window?.suppressed ?? 0;
    }
    if (window.lines >= this.#most) {
      window.suppressed++;
      return undefined;
    }
    window.lines++;
    return 0;
  }

  /** What was left out and not told yet, by message. Asked at the end: no next line will tell. */
  *suppressed(): Generator<readonly [message: string, lines: number]> {
    for (const [message, { suppressed }] of this.#windows) if (suppressed > 0) yield [message, suppressed];
  }
}
