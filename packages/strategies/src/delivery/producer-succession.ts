import {
  type DeliveryContext,
  isKafkaWorkerError,
  type OutgoingRecord,
  type TransactionalProducer,
  TransactionError,
} from '@kafka-worker/core';
import { asError } from './as-error.ts';

/** Producers that fail one after another, without a transaction in between that succeeds: then it is no accident. */
const MAX_PRODUCERS = 10;
/** What a producer that is of no more use gets for going. */
const CLOSE_MS = 5_000;
const UNKNOWN = -1;

/** Whose transactions they are. */
export interface TransactionalIdOptions {
  readonly transactionalId: string;
  readonly transactionTimeoutMs: number;
}

/**
 * The producers of one transactional id, one after another: each ends for certain what the one before it has left open. One that is of no more use is left,
 * and closes by itself; the next is made when one is asked for.
 */
export class ProducerSuccession {
  readonly #context: DeliveryContext;
  readonly #options: TransactionalIdOptions;
  /** Looks at messages; never connected. */
  readonly #checker: TransactionalProducer;
  #current: { readonly producer: TransactionalProducer; readonly tellsEach: boolean } | undefined;
  /** Producers that failed since the last transaction that succeeded. */
  #failures = 0;
  readonly #leaving = new Set<Promise<void>>();

  constructor(context: DeliveryContext, options: TransactionalIdOptions) {
    this.#context = context;
    this.#options = options;
    this.#checker = this.#newProducer(false);
  }

  /** No other one is made. */
  get isExhausted(): boolean {
    return this.#failures >= MAX_PRODUCERS;
  }

  /** Whether the current one tells what has become of each message. */
  get tellsEach(): boolean {
    return this.#current?.tellsEach === true;
  }

  /** @throws InvalidOptionError for a message that can never be written */
  check(message: OutgoingRecord): void {
    this.#checker.check(message);
  }

  /** The current one, or else the next, which is made so. @throws AuthorizationError, ConnectionError, TransactionError */
  async current(tellsEach: boolean): Promise<TransactionalProducer> {
    if (this.#current !== undefined) return this.#current.producer;
    if (this.isExhausted) {
      const text = `${MAX_PRODUCERS} transactional producers have failed one after another`;
      throw new TransactionError('fatal', text, { kafkaCode: UNKNOWN });
    }
    const { connectTimeoutMs } = this.#context;
    const producer = this.#newProducer(tellsEach);
    try {
      await producer.connect({ timeoutMs: connectTimeoutMs });
      await producer.init(connectTimeoutMs);
    } catch (thrown) {
      // Brokers that are away are no fault of the producer's.
      if (!isKafkaWorkerError(thrown) || !thrown.retriable) this.#failures++;
      this.#leave(producer);
      throw thrown;
    }
    this.#current = { producer, tellsEach };
    return producer;
  }

  /** A transaction of the current one has succeeded. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** The current one is of no more use. */
  failed(): void {
    this.#failures++;
    this.leave();
  }

  /** The next transaction is another producer's, though this one has not failed. */
  leave(): void {
    if (this.#current !== undefined) this.#leave(this.#current.producer);
    this.#current = undefined;
  }

  /** Resolves when all of them are closed, or have had their time for it. */
  async close(): Promise<void> {
    this.leave();
    await Promise.all(this.#leaving);
  }

  #newProducer(tellsEach: boolean): TransactionalProducer {
    const { kafka, clock, logger, statistics } = this.#context;
    return kafka.transactionalProducer({ clock, logger, statistics, tellsEach, ...this.#options });
  }

  #leave(producer: TransactionalProducer): void {
    const closing: Promise<void> = producer
      .close(CLOSE_MS)
      .catch((thrown: unknown) => this.#context.logger.warn('a producer was not closed', { error: asError(thrown) }))
      .finally(() => this.#leaving.delete(closing));
    this.#leaving.add(closing);
  }
}
