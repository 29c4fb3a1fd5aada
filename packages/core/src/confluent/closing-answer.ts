import type { Logger } from '../logger.ts';
import { toNativeError } from './client-errors.ts';
import type { NativeConsumer } from './native-client.ts';

/** Two questions that were open together arrive right after each other. */
const TOGETHER_MS = 250;
/** Until the client knows that it is being closed, which takes a moment, it takes no such answer. Then its close is given up. */
const MAX_TRIES = 20;

/**
 * What a consumer that is being disconnected answers to what its group gives and takes: it has nothing. Then librdkafka may have two questions open at
 * once, partitions that are assigned and, since it has left the group meanwhile, that they be given back. It takes the first answer for both, and
 * may be gone when the second comes: that call would never return, and the event loop would stand still.
 */
export class ClosingAnswer {
  readonly #native: NativeConsumer;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(native: NativeConsumer, logger: Logger) {
    this.#native = native;
    this.#logger = logger;
  }

  /** Something was assigned: what takes it away may be on its way. */
  assigned(): void {
    if (!this.#isStopped) this.#timer ??= setTimeout(() => this.#answer(1), TOGETHER_MS);
  }

  /** Something is to be given back: nothing follows that. */
  revoked(): void {
    clearTimeout(this.#timer);
    if (!this.#isStopped) this.#answer(1);
  }

  /** It is disconnected, and asks nothing any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #answer(tries: number): void {
    this.#timer = undefined;
    try {
      this.#native.unassign();
    } catch (thrown) {
      const { message: reason } = toNativeError(thrown);
      const isLast = tries === MAX_TRIES;
      const what = 'kafka client that is being closed could not give partitions back';
      if (isLast) this.#logger.warn(what, { reason, tries });
      else this.#logger.debug(what, { reason, tries });
      if (!isLast) this.#timer = setTimeout(() => this.#answer(tries + 1), TOGETHER_MS);
    }
  }
}
