/** Brokers are restarted, and leaders found anew, within this. */
const PATIENCE_MS = 10_000;
const LEAST_FAILURES = 2;

/** What to do about a partition that does not come. */
export type SilenceStep =
  | 'wait'
  /** Somebody has to be told, once. */
  | 'tell'
  /** Whether that reaches the partition's leader. */
  | 'ask librdkafka'
  /** librdkafka reaches the leader and this reader, which has tried since, does not. */
  | 'leave it to librdkafka';

/** How long a partition that is asked for has not come, and why. It ends with the first answer. Pure: whoever has it tells the time. */
export class Silence {
  readonly #since: number;
  #failures = 0;
  #reason = '';
  #isUnreachable = false;
  #isTold = false;
  #notBefore = 0;
  /** So many failures there were when librdkafka had reached the leader. */
  #provenAt: number | undefined;

  constructor(now: number) {
    this.#since = now;
  }

  /** Why it did not come the last time. */
  get reason(): string {
    return this.#reason;
  }

  /** For how long. */
  lastsMs(now: number): number {
    return now - this.#since;
  }

  /** It did not come; `isUnreachable` where nobody has answered who could tell anything about it. */
  failed(reason: string, isUnreachable: boolean): void {
    this.#failures++;
    this.#reason = reason;
    if (isUnreachable !== this.#isUnreachable) this.#provenAt = undefined;
    this.#isUnreachable = isUnreachable;
  }

  /** What to do now. What is to be told is told with that: it comes once. */
  step(now: number, mayAsk: boolean): SilenceStep {
    if (this.lastsMs(now) < PATIENCE_MS || this.#failures < LEAST_FAILURES) return 'wait';
    if (!this.#isUnreachable) {
      if (this.#isTold) return 'wait';
      this.#isTold = true;
      return 'tell';
    }
    // The first failure since may be of an attempt that had begun before.
    if (this.#provenAt !== undefined)
      return this.#failures >= this.#provenAt + LEAST_FAILURES ? 'leave it to librdkafka' : 'wait';
    return mayAsk && now >= this.#notBefore ? 'ask librdkafka' : 'wait';
  }

  /** Whether librdkafka has reached the leader. */
  answered(isReached: boolean, now: number): void {
    if (isReached) this.#provenAt = this.#failures;
    else this.#notBefore = now + PATIENCE_MS;
  }
}
