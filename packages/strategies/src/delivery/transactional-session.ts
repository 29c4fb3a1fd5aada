import {
  CommitError,
  type DeliveryContext,
  type DeliverySession,
  isKafkaWorkerError,
  type KeptSend,
  type OutgoingRecord,
  type PartitionProgress,
  type Progress,
  type TopicPartition,
  type TransactionalProducer,
  TransactionError,
  type UnwritableSend,
} from '@kafka-worker/core';
import { asError } from './as-error.ts';
import { ProducerSuccession, type TransactionalIdOptions } from './producer-succession.ts';
import type { SendOf } from './send-window.ts';
import { notAssigned, TransactionAttempt, type TransactionContent } from './transaction-attempt.ts';
import { WriteMode } from './write-mode.ts';
import { RefusedTogether, type Suspects } from './write-sends.ts';

/** How often a transaction is repeated at once: of 10,000 messages that were refused together the fifth attempt knows which it is. */
const MAX_ATTEMPTS = 8;
/** Not allowed to use the group or the id, or metadata that is too large: no repetition mends these. */
const FINAL_CODES: ReadonlySet<number> = new Set([12, 30, 53]);

/** What else is known of a commit that has failed. */
interface CommitFailure {
  readonly unwritable?: readonly UnwritableSend[];
  /** The same again says more of which message is in the way, if one is. */
  readonly isToBeTold?: boolean;
}

/**
 * Commits progress, and what its records have sent, in transactions, one after another. A transaction that failed is repeated by the worker's committer from
 * what it keeps. When nobody knows what became of one, the next producer with the same id ends it for certain, and the group's offsets tell.
 */
export class TransactionalSession implements DeliverySession {
  readonly #context: DeliveryContext;
  readonly #producers: ProducerSuccession;
  readonly #transactionTimeoutMs: number;
  /** Of a transaction that may have been committed. */
  #unknown: { readonly partitions: readonly PartitionProgress[]; readonly sends: readonly SendOf[] } | undefined;
  /** What was written, and must not be again: who asked may not have waited for the answer. */
  readonly #written = new WeakSet<KeptSend>();
  readonly #suspects: Suspects = new WeakMap();
  /** What could not be written, and may be tried again: a dead letter, or what somebody has unfrozen. */
  readonly #refused = new WeakSet<KeptSend>();
  readonly #mode = new WriteMode();
  /** What is being committed, or waits for it. */
  readonly #open = new Set<TransactionContent>();
  #last: Promise<void> = Promise.resolve();

  /** @throws AuthorizationError, ConnectionError, TransactionError */
  static async open(context: DeliveryContext, options: TransactionalIdOptions): Promise<TransactionalSession> {
    const session = new TransactionalSession(context, options);
    await session.#ready();
    return session;
  }

  private constructor(context: DeliveryContext, options: TransactionalIdOptions) {
    this.#context = context;
    this.#producers = new ProducerSuccession(context, options);
    this.#transactionTimeoutMs = options.transactionTimeoutMs;
  }

  check(message: OutgoingRecord): void {
    this.#producers.check(message);
  }

  commit({ partitions }: Progress): Promise<void> {
    const content: TransactionContent = { partitions, isCancelled: false };
    this.#open.add(content);
    const commit = this.#last.then(() => this.#commit(content)).finally(() => this.#open.delete(content));
    this.#last = commit.catch(() => {});
    return commit;
  }

  /** Nothing of these is committed from now on but what has its offsets in a transaction already; and that has ended then. */
  async revoking(partitions: readonly TopicPartition[]): Promise<void> {
    this.lost(partitions);
    await this.#last;
  }

  lost(partitions: readonly TopicPartition[]): void {
    const gone = new Set(partitions.map(nameOf));
    for (const content of this.#open) content.isCancelled ||= content.partitions.some((one) => gone.has(nameOf(one)));
  }

  async close(): Promise<void> {
    for (const content of this.#open) content.isCancelled = true;
    await this.#last;
    await this.#producers.close();
  }

  /** Where a message may be in the way, it is found out at once which: until then there is nothing to decide, and all others wait. */
  async #commit(content: TransactionContent): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      const unexplained = await this.#attempt(content);
      if (unexplained === undefined) return;
      if (attempts >= MAX_ATTEMPTS) throw unexplained;
    }
  }

  /** Gives an error that the same again, at once, may explain. @throws CommitError, any other */
  async #attempt(content: TransactionContent): Promise<CommitError | undefined> {
    const { consumer, clock } = this.#context;
    const { partitions } = content;
    if (content.isCancelled) throw this.#commitError(partitions, notAssigned());
    if (!this.#mode.tellsEach && this.#hasRefused(content)) {
      // Known beforehand: written together with the others it would cost them another transaction.
      this.#mode.failed();
      this.#producers.leave();
    }
    let producer: TransactionalProducer;
    try {
      producer = await this.#ready();
    } catch (thrown) {
      throw this.#commitError(partitions, asError(thrown));
    }
    const stepMs = this.#transactionTimeoutMs;
    const { tellsEach } = this.#producers;
    const attempt = new TransactionAttempt({ producer, consumer, clock, suspects: this.#suspects, tellsEach, stepMs });
    // Looked at now that its turn has come: what was under way may have written some of it.
    const sends: SendOf[] = [];
    for (const one of partitions)
      for (const send of one.sends ?? []) if (!this.#written.has(send)) sends.push([one, send]);
    const end = await attempt.run(content, sends);
    const mayBeMessages = end.outcome !== 'committed' && sends.length > 0 && !isOfGroup(end.error);
    if (end.outcome === 'committed') this.#mode.committed();
    else if (mayBeMessages) this.#mode.failed();
    // Written together, and what is said of it may be said for the sake of one message: the next attempt tells.
    const isToBeTold = mayBeMessages && (!tellsEach || end.error instanceof RefusedTogether);
    switch (end.outcome) {
      case 'committed':
        this.#producers.succeeded();
        for (const [, send] of sends) this.#written.add(send);
        if (tellsEach && !this.#mode.tellsEach) this.#producers.leave();
        return undefined;
      case 'dropped': {
        const { isProducerGone, unwritable } = end;
        for (const { send } of unwritable) this.#refused.add(send);
        // Where the fault is a message's, the producer's end says nothing about producers: a broker ends no transaction that it has not seen begin.
        if (isProducerGone && unwritable.length === 0) this.#producers.failed();
        // Behind a refused batch librdkafka numbers the messages of its next transaction wrongly, which would be refused for that.
        else if (isProducerGone || mayBeMessages) this.#producers.leave();
        const error = this.#commitError(partitions, end.error, { unwritable, isToBeTold });
        if (isToBeTold && !isProducerGone) return error;
        throw error;
      }
      case 'unknown':
        this.#unknown = { partitions, sends };
        this.#producers.failed();
        await this.#learn(partitions, end.error, isToBeTold);
        return undefined;
    }
  }

  #hasRefused({ partitions }: TransactionContent): boolean {
    return partitions.some(({ sends = [] }) => sends.some((send) => this.#refused.has(send)));
  }

  /** What became of a commit. @throws CommitError with the partitions that were not committed */
  async #learn(partitions: readonly PartitionProgress[], error: Error, isToBeTold: boolean): Promise<void> {
    let open: readonly PartitionProgress[];
    try {
      await this.#producers.current(this.#mode.tellsEach);
      open = await this.#resolve();
    } catch (thrown) {
      // The next commit finds out first.
      throw this.#commitError(partitions, asError(thrown));
    }
    if (open.length > 0) throw this.#commitError(open, error, { isToBeTold });
  }

  /** A producer that can begin a transaction, with nothing unknown behind it. */
  async #ready(): Promise<TransactionalProducer> {
    const producer = await this.#producers.current(this.#mode.tellsEach);
    await this.#resolve();
    return producer;
  }

  /**
   * Asks for the offsets of the transaction of which nobody knows what became: now that a new producer has the id, it has ended one way or the other. Gives
   * the partitions that were not committed. Another offset than the transaction's is from before it, also one that is further on (then it was sought
   * back), or it is of whoever has the partition now; and of a partition that is not ours any more nothing can be committed.
   */
  async #resolve(): Promise<readonly PartitionProgress[]> {
    const content = this.#unknown;
    if (content === undefined) return [];
    const { consumer, logger } = this.#context;
    const committed = new Map((await consumer.committed(content.partitions)).map((one) => [nameOf(one), one.offset]));
    const isLanded = (one: PartitionProgress): boolean => committed.get(nameOf(one)) === one.offset;
    for (const [partition, send] of content.sends) if (isLanded(partition)) this.#written.add(send);
    const open = content.partitions.filter((one) => !isLanded(one));
    this.#unknown = undefined;
    const isCommitted = open.length === 0;
    logger.warn('nobody had heard what became of a transaction', {
      isCommitted,
      partitions: content.partitions.length,
    });
    return open;
  }

  #commitError(
    partitions: readonly PartitionProgress[],
    error: Error,
    { unwritable = [], isToBeTold = false }: CommitFailure = {},
  ): CommitError {
    const kafkaCode = error instanceof TransactionError ? error.kafkaCode : -1;
    const failures = partitions.map(({ topic, partition, offset }) => ({
      ...{ topic, partition, offset, kafkaCode, reason: error.message },
    }));
    const retriable = this.#isWorthRepeating(error, isToBeTold);
    return new CommitError(failures, { retriable, cause: error, unwritable });
  }

  #isWorthRepeating(error: Error, isToBeTold: boolean): boolean {
    if (this.#producers.isExhausted) return false;
    if (isToBeTold || !isKafkaWorkerError(error)) return true;
    if (error.code === 'AUTHORIZATION' || error.code === 'AUTHENTICATION' || error.code === 'UNSUPPORTED_BROKER')
      return false;
    // A group that is changing says by its code what is to be done.
    if (error instanceof TransactionError) return !FINAL_CODES.has(error.kafkaCode) && !isOfGroup(error);
    return error.code !== 'ILLEGAL_STATE';
  }
}

/** Illegal generation, unknown member, rebalance in progress, stale epoch. */
const GROUP_CODES: ReadonlySet<number> = new Set([22, 25, 27, 113]);

function isOfGroup(error: Error): boolean {
  return error instanceof TransactionError && GROUP_CODES.has(error.kafkaCode);
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
