import {
  type Clock,
  type KafkaConsumer,
  type PartitionProgress,
  type TransactionalProducer,
  TransactionError,
  type UnwritableSend,
} from '@kafka-worker/core';
import { asError } from './as-error.ts';
import type { SendOf } from './send-window.ts';
import { type Suspects, writeSends } from './write-sends.ts';

/** What one transaction commits. */
export interface TransactionContent {
  readonly partitions: readonly PartitionProgress[];
  /** Its partitions are not (all) ours any more: it must not commit their offsets. */
  isCancelled: boolean;
}

/** How a transaction has ended. `unknown`: nobody has heard what became of its commit. */
export type TransactionEnd =
  | { readonly outcome: 'committed' }
  /** It was dropped. `isProducerGone`: with the producer. */
  | {
      readonly outcome: 'dropped';
      readonly error: Error;
      readonly unwritable: readonly UnwritableSend[];
      readonly isProducerGone: boolean;
    }
  | { readonly outcome: 'unknown'; readonly error: Error };

/** One transaction: begin, produce, offsets with the member's own identity, commit; or abort. Every step has a bound, and it never rejects. */
export class TransactionAttempt {
  readonly #producer: TransactionalProducer;
  readonly #consumer: KafkaConsumer;
  readonly #clock: Clock;
  readonly #suspects: Suspects;
  readonly #tellsEach: boolean;
  /** For each step, its repetitions included. */
  readonly #stepMs: number;

  constructor(parts: {
    readonly producer: TransactionalProducer;
    readonly consumer: KafkaConsumer;
    readonly clock: Clock;
    readonly suspects: Suspects;
    /** Whether the producer tells what has become of each message. */
    readonly tellsEach: boolean;
    readonly stepMs: number;
  }) {
    this.#producer = parts.producer;
    this.#consumer = parts.consumer;
    this.#clock = parts.clock;
    this.#suspects = parts.suspects;
    this.#tellsEach = parts.tellsEach;
    this.#stepMs = parts.stepMs;
  }

  /** @param sends what is to be written with it, in its order */
  async run(content: TransactionContent, sends: readonly SendOf[]): Promise<TransactionEnd> {
    try {
      await this.#producer.begin();
    } catch (thrown) {
      return this.#dropped(asError(thrown), [], true);
    }
    try {
      const unwritable = await this.#write(sends);
      if (unwritable.length > 0) return await this.#abort(unwritable[0]?.error ?? new Error('unwritable'), unwritable);
      await this.#step((ms) => this.#sendOffsets(content, ms));
    } catch (thrown) {
      return isFatal(thrown) ? this.#dropped(asError(thrown), [], true) : this.#abort(asError(thrown), []);
    }
    // From here on the broker may commit it, whatever we hear. Only where it was not asked at all it is certain that it has not.
    try {
      await this.#step((ms) => this.#producer.commit(ms));
      return { outcome: 'committed' };
    } catch (thrown) {
      if (isUnasked(thrown)) return this.#abort(asError(thrown), []);
      return { outcome: 'unknown', error: asError(thrown) };
    }
  }

  async #write(sends: readonly SendOf[]): Promise<readonly UnwritableSend[]> {
    if (this.#tellsEach) return writeSends(this.#producer, sends, this.#suspects);
    const messages = sends.map(([, { message }]) => message);
    if (messages.length > 0) await this.#producer.sendAll(messages, this.#stepMs);
    return [];
  }

  async #sendOffsets(content: TransactionContent, timeoutMs: number): Promise<void> {
    // The broker looks at the member, not at its partitions: for one that was given back it would commit, too.
    if (content.isCancelled) throw notAssigned();
    const offsets = content.partitions.map(({ topic, partition, offset, metadata, leaderEpoch }) => ({
      ...{ topic, partition, offset },
      ...(metadata === undefined ? {} : { metadata }),
      ...(leaderEpoch === undefined ? {} : { leaderEpoch }),
    }));
    await this.#producer.sendOffsets(offsets, this.#consumer, timeoutMs);
  }

  async #abort(error: Error, unwritable: readonly UnwritableSend[]): Promise<TransactionEnd> {
    try {
      await this.#step((ms) => this.#producer.abort(ms));
      return this.#dropped(error, unwritable, false);
    } catch {
      // The next producer with the id ends it.
      return this.#dropped(error, unwritable, true);
    }
  }

  #dropped(error: Error, unwritable: readonly UnwritableSend[], isProducerGone: boolean): TransactionEnd {
    return { outcome: 'dropped', error, unwritable, isProducerGone };
  }

  /** Makes a call, and makes it again as long as that is what helps, until the step's time is up. */
  async #step(call: (timeoutMs: number) => Promise<void>): Promise<void> {
    const deadline = this.#clock.now() + this.#stepMs;
    for (;;) {
      const leftMs = Math.max(deadline - this.#clock.now(), 1);
      try {
        await call(leftMs);
        return;
      } catch (thrown) {
        const isRetriable = thrown instanceof TransactionError && thrown.kind === 'retriable';
        if (!isRetriable || this.#clock.now() >= deadline) throw thrown;
        await new Promise<void>((resolve) => void this.#clock.setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

const ILLEGAL_GENERATION = 22;
/** librdkafka's. */
const INCONSISTENT = -149;
const RETRY_MS = 20;

/** What a transaction is dropped for, or not begun, when its partitions are gone. */
export function notAssigned(): TransactionError {
  const text = 'partitions of the transaction are not assigned any more';
  return new TransactionError('abortable', text, { kafkaCode: ILLEGAL_GENERATION });
}

/**
 * librdkafka counts the messages of a transaction that were not written, and looks at the count before it asks the broker to commit, and never after it
 * has: then it gives this code, which no broker has. With it a fatal error is another one, of any moment.
 */
function isUnasked(thrown: unknown): boolean {
  return thrown instanceof TransactionError && thrown.kind === 'abortable' && thrown.kafkaCode === INCONSISTENT;
}

function isFatal(thrown: unknown): boolean {
  return thrown instanceof TransactionError && thrown.kind === 'fatal';
}
