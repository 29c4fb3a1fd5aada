/** Whoever waits until something has come to rest, which is looked at after every turn. */
export class Stillness {
  readonly #isStill: () => boolean;
  #waiting: (() => void)[] = [];

  constructor(isStill: () => boolean) {
    this.#isStill = isStill;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  /** Whether somebody has waited, and is told. */
  check(): boolean {
    if (this.#waiting.length === 0 || !this.#isStill()) return false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    return true;
  }
}
