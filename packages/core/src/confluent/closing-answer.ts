import type { Logger } from '../logger.ts';
import { toNativeError } from './client-errors.ts';
import type { NativeConsumer } from './native-client.ts';

/** Two questions that were open together arrive right after each other. */
const TOGETHER_MS = 250;
/** Until the client knows that it is being closed, which takes a moment, it takes no such answer. Then its close is given up. */
const MAX_TRIES = 20;

/**
 * What a consumer that is being disconnected answers to what its group gives and takes: it has nothing. Then librdkafka may have two questions open at
 * once, partitions that are assigned and, since it has left the group meanwhile, that they be given back. It takes the first answer for both, one that was
 * given before it was disconnected too, and may be gone when the second comes: that call would never return, and the event loop would stand still. So
 * every answer waits a moment, in which a client that needs none tells that it is gone.
 */
export class ClosingAnswer {
  readonly #native: NativeConsumer;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #isStopped = false;

  constructor(native: NativeConsumer, logger: Logger) {
    this.#native = native;
    this.#logger = logger;
  }

  /** Something was assigned: what takes it away may be on its way. */
  assigned(): void {
    if (this.#isStopped || this.#timer !== undefined || this.#turn !== undefined) return;
    this.#answerLater(1);
  }

  /** Something is to be given back: nothing follows that. */
  revoked(): void {
    this.#forget();
    if (!this.#isStopped) this.#answerLater(1);
  }

  /** It is disconnected, and asks nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#forget();
  }

  #answerLater(tries: number): void {
    this.#timer = setTimeout(() => {
      // Where the event loop stood still meanwhile, the other question, or that it is all over, has come and waits to be told, behind the timers.
      this.#turn = setImmediate(() => this.#answer(tries));
    }, TOGETHER_MS);
  }

  #forget(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
    this.#turn = undefined;
  }

  #answer(tries: number): void {
    this.#forget();
    try {
      this.#native.unassign();
    } catch (thrown) {
      const { message: reason } = toNativeError(thrown);
      const isLast = tries === MAX_TRIES;
      const what = 'kafka client that is being closed could not give partitions back';
      if (isLast) this.#logger.warn(what, { reason, tries });
      else this.#logger.debug(what, { reason, tries });
      if (!isLast) this.#answerLater(tries + 1);
    }
  }
}
