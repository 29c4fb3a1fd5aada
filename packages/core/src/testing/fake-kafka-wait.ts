import type { Clock } from '../clock.ts';
import type { FakeState } from './fake-kafka-state.ts';

/** The wait of one poll: until something changes, the time is up, or somebody ends it. */
export class FakeWait {
  readonly #state: FakeState;
  readonly #clock: Clock;
  readonly #untilMs: number;
  #isEnded = false;
  #goOn: () => void = () => {};

  constructor(state: FakeState, clock: Clock, maxWaitMs: number) {
    this.#state = state;
    this.#clock = clock;
    this.#untilMs = clock.now() + maxWaitMs;
  }

  get isOver(): boolean {
    return this.#isEnded || this.#clock.now() >= this.#untilMs;
  }

  end(): void {
    this.#isEnded = true;
    this.#goOn();
  }

  async forChange(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, this.#untilMs - this.#clock.now());
      const unwatch = this.#state.watch(resolve);
      this.#goOn = () => {
        timer.clear();
        unwatch();
        resolve();
      };
    });
    // Whatever ended the wait, the others must not be left behind.
    this.#goOn();
  }
}
