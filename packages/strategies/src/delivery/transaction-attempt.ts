import {
  type Clock,
  type KafkaConsumer,
  type KafkaWorkerError,
  type KeptSend,
  type PartitionProgress,
  ProduceError,
  type TransactionalProducer,
  TransactionError,
  type UnwritableSend,
} from '@kafka-worker/core';

/** So many messages are handed over at once: the client's own queue is bounded. */
const CHUNK = 5_000;

/** A message, and the partition whose record has sent it. */
export type SendOf = readonly [PartitionProgress, KeptSend];

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
  /** For each step, its repetitions included. */
  readonly #stepMs: number;

  constructor(producer: TransactionalProducer, consumer: KafkaConsumer, clock: Clock, stepMs: number) {
    this.#producer = producer;
    this.#consumer = consumer;
    this.#clock = clock;
    this.#stepMs = stepMs;
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
    // From here on the broker may commit it, whatever we hear: every message is acknowledged, so also no error says for certain that it was dropped.
    try {
      await this.#step((ms) => this.#producer.commit(ms));
      return { outcome: 'committed' };
    } catch (thrown) {
      return { outcome: 'unknown', error: asError(thrown) };
    }
  }

  /** Produces everything, in its order. Gives what can never be written; rejects when something else is in the way. */
  async #write(sends: readonly SendOf[]): Promise<UnwritableSend[]> {
    const unwritable: UnwritableSend[] = [];
    for (let from = 0; from < sends.length && unwritable.length === 0; from += CHUNK) {
      const chunk = sends.slice(from, from + CHUNK);
      // Its own function, so that what is thrown at once is a failure like any other.
      const results = await Promise.allSettled(chunk.map(async ([, { message }]) => this.#producer.send(message)));
      let failure: unknown;
      for (const [i, result] of results.entries()) {
        const [partition, send] = chunk[i] ?? [];
        if (result.status === 'fulfilled' || partition === undefined || send === undefined) continue;
        const reason: unknown = result.reason;
        if (isUnwritable(reason)) {
          const { topic, partition: number } = partition;
          unwritable.push({ topic, partition: number, send, error: asError(reason) });
        } else failure ??= reason;
      }
      if (unwritable.length === 0 && failure !== undefined) throw asError(failure);
    }
    return unwritable;
  }

  async #sendOffsets(content: TransactionContent, timeoutMs: number): Promise<void> {
    // The broker looks at the member, not at its partitions: for one that was given back it would commit, too.
    if (content.isCancelled)
      throw new TransactionError('abortable', 'partitions of the transaction are not assigned any more', {
        kafkaCode: ILLEGAL_GENERATION,
      });
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
const RETRY_MS = 20;

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

function isFatal(thrown: unknown): boolean {
  return thrown instanceof TransactionError && thrown.kind === 'fatal';
}

function isUnwritable(reason: unknown): boolean {
  const { code, retriable } = reason as Partial<KafkaWorkerError>;
  return code === 'INVALID_OPTION' || (reason instanceof ProduceError && retriable === false);
}
