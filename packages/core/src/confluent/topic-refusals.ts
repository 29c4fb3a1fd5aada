import { ProduceError } from '../errors.ts';
import { pauseFor } from './bounded.ts';
import { nativeCode, toNativeError } from './client-errors.ts';
import type { ClientLogLine } from './client-events.ts';

/** `Failed to add partition "orders" [0] to transaction: Broker: Topic authorization failed`, with the thread's name before it. */
const REFUSED = /Failed to add partition "([^"]+)" \[\d+\] to transaction: .*topic authorization failed/i;
/** What a message fails with that was not sent for the sake of another one. */
const PURGED = -152;
/** The line comes another way than the delivery reports, a moment earlier or later. */
const LINE_MS = 25;

/**
 * The topics that a transaction must not write to. When one is refused, the client drops every message that it has not sent yet, and the delivery reports
 * do not say which of them was the reason: that stands in its log only.
 */
export class TopicRefusals {
  readonly #topics = new Set<string>();
  #pause: Promise<void> | undefined;

  /** A new transaction: it may be allowed by now. */
  clear(): void {
    this.#topics.clear();
    this.#pause = undefined;
  }

  heard({ message }: ClientLogLine): void {
    const topic = REFUSED.exec(message)?.[1];
    if (topic !== undefined) this.#topics.add(topic);
  }

  /** Why a message was dropped, if it was itself the reason. */
  async explain(thrown: unknown): Promise<ProduceError | undefined> {
    if (!(thrown instanceof ProduceError) || toNativeError(thrown.cause).code !== PURGED) return undefined;
    // One wait for all the messages of a transaction.
    this.#pause ??= pauseFor(LINE_MS);
    await this.#pause;
    const { topic } = thrown;
    if (!this.#topics.has(topic)) return undefined;
    const code = nativeCode.topicAuthorizationFailed;
    const cause = { code, message: 'Broker: Topic authorization failed' };
    return new ProduceError(topic, `${topic}: not sent: ${cause.message} (${code}): this user may not WRITE to it`, {
      cause,
    });
  }
}
