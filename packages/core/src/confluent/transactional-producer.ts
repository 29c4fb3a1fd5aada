import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { IllegalStateError, InvalidOptionError, ProduceError, TransactionError } from '../errors.ts';
import type { ConnectOptions, KafkaConsumer } from '../kafka-client.ts';
import { toError } from '../kafka-worker-error.ts';
import type { NextOffset, OutgoingRecord, TopicPartition } from '../record.ts';
import type { TransactionalProducer } from '../transactional-producer.ts';
import { callWithMember } from './call-with-member.ts';
import { nativeCode } from './client-errors.ts';
import { ConfluentConsumer } from './consumer.ts';
import { checkTimeout } from './kafka-client-options.ts';
import { nativeCommit } from './native-arguments.ts';
import type { Done, NativeProducer } from './native-client.ts';
import { checkSize, DEFAULT_MESSAGE_BYTES, toNativeMessage } from './outgoing-message.ts';
import { ConfluentProducer, type ConfluentProducerOptions } from './producer.ts';
import { transactionalIdRefused } from './refusals.ts';
import { TopicRefusals } from './topic-refusals.ts';
import { isIdRefusal, transactionalSendError, transactionError } from './transaction-errors.ts';

/** So many messages are handed over until others get their turn. */
const SLICE = 500;

const UNANSWERED = 'not all messages were answered in time';
const QUEUE_FULL = 'the client has no room for more messages (the brokers do not keep up, or are away)';

/** How often a full queue is tried again. */
const QUEUE_FULL_MS = 10;

/** Beginning asks nobody. */
const BEGIN_MS = 1_000;

/** The port's producer of transactions on librdkafka. Each transactional call holds a thread of libuv's pool while it lasts. */
export class ConfluentTransactionalProducer implements TransactionalProducer {
  readonly #producer: ConfluentProducer;
  readonly #tellsEach: boolean;
  readonly #maxBytes: number;
  /** Why the transaction must not be committed, of which the native client does not know. */
  #mustAbort: Error | undefined;
  /** A count. What becomes of a message may be heard when its transaction has been aborted, and the next one has begun. */
  #begun = 0;

  readonly #transactionalId: string;
  readonly #refusals = new TopicRefusals();

  constructor(options: ConfluentProducerOptions) {
    this.#producer = new ConfluentProducer({ ...options, heard: (line) => this.#refusals.heard(line) });
    this.#tellsEach = options.tellsEach ?? true;
    this.#transactionalId = String(options.properties['transactional.id']);
    this.#maxBytes = Number(options.properties['message.max.bytes'] ?? DEFAULT_MESSAGE_BYTES);
  }

  connect(options: ConnectOptions): Promise<void> {
    return this.#producer.connect(options);
  }

  init(timeoutMs: number): Promise<void> {
    return this.#call('transactions cannot be initialised', timeoutMs, (native, ms, done) =>
      native.initTransactions(ms, done),
    ).catch((thrown: unknown) => {
      throw isIdRefusal(thrown) ? transactionalIdRefused(this.#transactionalId, thrown) : thrown;
    });
  }

  check(message: OutgoingRecord): void {
    checkSize(toNativeMessage(message), this.#maxBytes);
  }

  async begin(): Promise<void> {
    this.#refusals.clear();
    await this.#call('a transaction cannot be begun', BEGIN_MS, (native, _ms, done) => native.beginTransaction(done));
    this.#begun++;
    this.#mustAbort = undefined;
  }

  send(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number | undefined }> {
    const checked = toNativeMessage(message);
    if (!this.#tellsEach)
      throw new IllegalStateError('send of a transactional producer without tellsEach: use sendAll');
    this.#producer.assertOpen();
    const begun = this.#begun;
    return new Promise((resolve, reject) => {
      this.#producer.hand(checked, (answer) => {
        if (!(answer instanceof Error)) {
          resolve(answer);
          return;
        }
        if (begun === this.#begun) this.#missing(answer);
        void this.#explain(answer).then(reject, reject);
      });
    });
  }

  async sendAll(messages: Iterable<OutgoingRecord>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + checkTimeout('timeoutMs', timeoutMs);
    this.#producer.assertOpen();
    try {
      await this.#handAll(messages, () => Math.max(deadline - performance.now(), 0));
    } catch (thrown) {
      this.#missing(thrown);
      throw thrown;
    }
  }

  async #handAll(messages: Iterable<OutgoingRecord>, leftMs: () => number): Promise<void> {
    let handed = 0;
    for (const message of messages) {
      const checked = toNativeMessage(message);
      while (!this.#producer.enqueue(checked)) {
        if (leftMs() === 0) throw new ProduceError(checked.topic, QUEUE_FULL, { retriable: true });
        await sleep(QUEUE_FULL_MS);
      }
      if (++handed % SLICE === 0) await nextTurn();
    }
    await this.#call(UNANSWERED, leftMs(), (native, ms, done) => native.flush(ms, done)).catch((thrown: unknown) => {
      if (!(thrown instanceof TransactionError) || thrown.kafkaCode !== nativeCode.timedOut) throw thrown;
      throw new TransactionError('abortable', thrown.message, { kafkaCode: thrown.kafkaCode, cause: thrown });
    });
  }

  /** A message that was refused at once is none of those that librdkafka counts: it would commit the transaction without it. */
  #missing(thrown: unknown): void {
    const { message } = toError(thrown);
    this.#mustAbort ??=
      thrown instanceof TransactionError && thrown.kind !== 'retriable'
        ? thrown
        : new TransactionError('abortable', `a message was not written: ${message}`, { kafkaCode: -1, cause: thrown });
  }

  async #explain(error: unknown): Promise<unknown> {
    return (await this.#refusals.explain(error)) ?? transactionalSendError(error);
  }

  async sendOffsets(offsets: readonly NextOffset[], consumer: KafkaConsumer, timeoutMs: number): Promise<void> {
    const checked = nativeCommit('offsets', offsets);
    // Given anything else, or a consumer that is closed, the native client ends the process.
    if (!(consumer instanceof ConfluentConsumer))
      throw new InvalidOptionError('consumer', "a consumer of the same kind of cluster as the producer's", consumer);
    const what = 'offsets cannot be added to the transaction';
    try {
      let membership: Promise<void> | undefined;
      await this.#call(what, timeoutMs, (native, ms, done) => {
        membership = callWithMember(
          (run) => consumer.asMember(what, ms, run),
          (member, answered) => native.sendOffsetsToTransaction(checked, member, ms, answered),
          done,
        );
      });
      await membership;
    } catch (thrown) {
      if (!(thrown instanceof TransactionError && thrown.kind === 'retriable')) this.#mustAbort = toError(thrown);
      throw thrown;
    }
  }

  async commit(timeoutMs: number): Promise<void> {
    if (this.#mustAbort !== undefined) throw this.#mustAbort;
    await this.#call('the transaction cannot be committed', timeoutMs, (native, ms, done) =>
      native.commitTransaction(ms, done),
    );
  }

  async abort(timeoutMs: number): Promise<void> {
    await this.#call('the transaction cannot be aborted', timeoutMs, (native, ms, done) =>
      native.abortTransaction(ms, done),
    );
    this.#mustAbort = undefined;
  }

  close(timeoutMs: number): Promise<void> {
    return this.#producer.close(timeoutMs);
  }

  async #call(
    what: string,
    timeoutMs: number,
    run: (native: NativeProducer, timeoutMs: number, done: Done) => void,
  ): Promise<void> {
    const ms = Math.ceil(checkTimeout('timeoutMs', timeoutMs));
    try {
      await this.#producer.call(what, ms, (native, done) => run(native, ms, done));
    } catch (thrown) {
      throw transactionError(what, thrown);
    }
  }
}
