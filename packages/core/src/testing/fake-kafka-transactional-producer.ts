import { nativeCommit } from '../confluent/native-arguments.ts';
import { checkSize, DEFAULT_MESSAGE_BYTES, toNativeMessage } from '../confluent/outgoing-message.ts';
import { IllegalStateError, InvalidOptionError, ProduceError, TransactionError } from '../errors.ts';
import type { ConnectOptions, KafkaConsumer } from '../kafka-client.ts';
import { toError } from '../kafka-worker-error.ts';
import type { NextOffset, OutgoingRecord, TopicPartition } from '../record.ts';
import type { TransactionalProducer, TransactionalProducerOptions } from '../transactional-producer.ts';
import { checkMs } from './cluster-checks.ts';
import type { FakeConnection } from './fake-kafka-connection.ts';
import { FakeConsumer } from './fake-kafka-consumer.ts';
import type { FakeOperation } from './fake-kafka-network.ts';

const TIMED_OUT = -185;

/**
 * A producer of transactions on the fake cluster. It throws when the port's rules are broken. Its states: `new`, `ready` for a transaction, `open` inside
 * one, `failed` inside one that can only be aborted, `committed` when nobody has heard of it yet, `dead`.
 */
export class FakeTransactionalProducer implements TransactionalProducer {
  readonly #connection: FakeConnection;
  readonly #options: TransactionalProducerOptions;
  #phase: 'new' | 'ready' | 'open' | 'failed' | 'committed' | 'dead' = 'new';
  #epoch = 0;
  /** What the transaction can only be aborted for. */
  #failure: TransactionError | undefined;
  #isBusy = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: FakeConnection, options: TransactionalProducerOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  connect(options: ConnectOptions): Promise<void> {
    return this.#connection.connect(options);
  }

  check(message: OutgoingRecord): void {
    // What the real client refuses is refused here.
    checkSize(toNativeMessage(message), DEFAULT_MESSAGE_BYTES);
  }

  async init(timeoutMs: number): Promise<void> {
    await this.#call('init', ['new'], timeoutMs, async () => {
      await this.#request('init-transactions');
      this.#epoch = this.#transactions.init(this.#options.transactionalId);
      this.#phase = 'ready';
    });
  }

  async begin(): Promise<void> {
    await this.#call('begin', ['ready'], 0, () => {
      this.#phase = 'open';
      this.#failure = undefined;
      return Promise.resolve();
    });
  }

  send(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number }> {
    this.check(message);
    this.#connection.assertConnected('send');
    if (this.#options.tellsEach === false)
      throw new IllegalStateError('fakeKafka: send of a transactional producer without tellsEach: use sendAll');
    return this.#send(message);
  }

  async sendAll(messages: Iterable<OutgoingRecord>, timeoutMs: number): Promise<void> {
    checkMs('timeoutMs', timeoutMs);
    this.#connection.assertConnected('sendAll');
    const sent: Promise<unknown>[] = [];
    for (const message of messages) {
      try {
        this.check(message);
      } catch (refused) {
        this.#failed(aborting(toError(refused)));
        throw refused;
      }
      sent.push(this.#send(message));
    }
    await Promise.allSettled(sent);
  }

  #send(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number }> {
    if (this.#phase !== 'open' && this.#phase !== 'failed')
      throw new IllegalStateError('fakeKafka: send outside of a transaction');
    const sent = this.#last.then(() => this.#append(message));
    this.#last = sent.catch(() => {});
    return sent;
  }

  async sendOffsets(offsets: readonly NextOffset[], consumer: KafkaConsumer, timeoutMs: number): Promise<void> {
    const checked = nativeCommit('offsets', offsets);
    if (!(consumer instanceof FakeConsumer))
      throw new InvalidOptionError('consumer', "a consumer of the same kind of cluster as the producer's", consumer);
    const { group } = consumer;
    await this.#call('sendOffsets', ['open', 'failed'], timeoutMs, async () => {
      this.#assertUsable();
      // As the member is when it asks: others may have its partitions before the request arrives.
      const { generation } = consumer.member;
      await this.#request('send-offsets', { offsets: checked });
      const { transactionalId, transactionTimeoutMs } = this.#options;
      const transaction = this.#transactions.writing(transactionalId, this.#epoch, transactionTimeoutMs);
      const [refused] = group.addToTransaction(transaction, consumer.member, checked, generation);
      if (refused !== undefined) {
        const { kafkaCode, reason } = refused;
        throw new TransactionError('abortable', `offsets cannot be added: ${reason} (${kafkaCode})`, { kafkaCode });
      }
      transaction.groups.add(group);
    });
  }

  async commit(timeoutMs: number): Promise<void> {
    await this.#call('commit', ['open', 'failed', 'committed'], timeoutMs, async () => {
      await this.#last;
      this.#assertUsable();
      if (this.#phase !== 'committed') {
        await this.#request('commit-transaction');
        this.#transactions.end(this.#options.transactionalId, this.#epoch, 'commit');
        // From here on it has landed; whoever asked may not hear of it.
        this.#phase = 'committed';
      }
      await this.#request('commit-transaction-answer');
      this.#phase = 'ready';
    });
  }

  async abort(timeoutMs: number): Promise<void> {
    await this.#call('abort', ['open', 'failed'], timeoutMs, async () => {
      await this.#last;
      await this.#request('abort-transaction');
      this.#transactions.end(this.#options.transactionalId, this.#epoch, 'abort');
      this.#phase = 'ready';
    });
  }

  async close(timeoutMs: number): Promise<void> {
    checkMs('timeoutMs', timeoutMs);
    this.#connection.close();
    await Promise.resolve();
  }

  get #transactions(): FakeConnection['state']['transactions'] {
    return this.#connection.state.transactions;
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #append(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number }> {
    const { transactionalId, transactionTimeoutMs } = this.#options;
    try {
      await this.#request('send', { message });
      const transaction = this.#transactions.writing(transactionalId, this.#epoch, transactionTimeoutMs);
      const { topic, partition, offset } = this.#connection.state.topics.append(message, transaction);
      return { topic, partition, offset };
    } catch (error) {
      if (error instanceof TransactionError) {
        this.#failed(error.kind === 'retriable' ? aborting(error) : error);
        throw new ProduceError(message.topic, error.message, { retriable: true, cause: error });
      }
      const failed =
        error instanceof ProduceError
          ? error
          : new ProduceError(message.topic, toError(error).message, { cause: error });
      this.#failed(aborting(failed));
      throw failed;
    }
  }

  #failed(error: TransactionError): void {
    if (this.#phase === 'dead') return;
    this.#failure = error;
    this.#phase = error.kind === 'fatal' ? 'dead' : 'failed';
  }

  /** One call at a time, in a state that allows it; a fatal error is the answer to everything from then on. */
  async #call(what: string, phases: readonly string[], timeoutMs: number, run: () => Promise<void>): Promise<void> {
    checkMs('timeoutMs', timeoutMs);
    this.#connection.assertConnected(what);
    if (this.#isBusy) throw new IllegalStateError(`fakeKafka: ${what} while another call is under way`);
    if (this.#phase === 'dead')
      throw this.#failure ?? new TransactionError('fatal', 'the producer has failed', { kafkaCode: -150 });
    if (!phases.includes(this.#phase)) throw new IllegalStateError(`fakeKafka: ${what} while ${this.#phase}`);
    this.#isBusy = true;
    try {
      await run();
    } catch (error) {
      if (error instanceof TransactionError && error.kind !== 'retriable') this.#failed(error);
      throw error;
    } finally {
      this.#isBusy = false;
    }
  }

  async #request(operation: FakeOperation, cargo?: Parameters<FakeConnection['state']['request']>[3]): Promise<void> {
    const timedOut = (): TransactionError =>
      new TransactionError('retriable', `${operation}: no answer in time`, { kafkaCode: TIMED_OUT });
    await this.#connection.state.request(operation, this.#connection.caller, timedOut, cargo);
  }
}

function aborting(error: Error): TransactionError {
  return new TransactionError('abortable', `a message was not written: ${error.message}`, {
    kafkaCode: -1,
    cause: error,
  });
}
