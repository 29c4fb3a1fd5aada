import { ClientError, IllegalStateError, ProduceError } from '../errors.ts';
import type { ConnectOptions, KafkaClientOptions, KafkaProducer } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { Logger } from '../logger.ts';
import type { OutgoingRecord, TopicPartition } from '../record.ts';
import { settledWithin } from './bounded.ts';
import { isRetriableCode, nativeCode, toNativeError } from './client-errors.ts';
import type { ClientLogLine } from './client-events.ts';
import type { ClientProperties, OAuthBearerToken } from './client-options.ts';
import { checkConnectOptions, checkTimeout } from './kafka-client-options.ts';
import { type Done, type NativeProducer, newNativeProducer } from './native-client.ts';
import { type NativeMessage, toNativeMessage } from './outgoing-message.ts';
import { RawClient } from './raw-client.ts';
import { readStatistics } from './read-statistics.ts';

/** Messages that may wait here while librdkafka's own queue is full. */
const MAX_WAITING = 10_000;

/** How often a full queue is tried again when no delivery makes room. */
const QUEUE_FULL_MS = 10;

/** librdkafka's default for `queue.buffering.max.kbytes`. */
const QUEUE_KBYTES = 1_048_576;

/** What is left for librdkafka's own flush: everything has been waited for already. */
const FLUSH_MS = 50;

const deadProducerCodes: ReadonlySet<number> = new Set([nativeCode.fatal, nativeCode.fenced]);

type Delivered = TopicPartition & { readonly offset: number | undefined };

/** What has become of a message. */
export type Answered = (answer: Delivered | Error) => void;

interface Sending {
  readonly message: NativeMessage;
  readonly answered: Answered;
}

/** What a producer is made with. */
export interface ConfluentProducerOptions {
  readonly brokers: readonly string[];
  readonly properties: ClientProperties;
  readonly token: (() => Promise<OAuthBearerToken>) | undefined;
  readonly logger: Logger;
  readonly statistics?: KafkaClientOptions['statistics'];
  /** Whether what has become of each message is wanted: without, only `enqueue` is to be used. @defaultValue true */
  readonly tellsEach?: boolean;
  /** Told what the native client says without being asked. */
  readonly heard?: (line: ClientLogLine) => void;
}

/** The port's producer on librdkafka: idempotent, each send answered by its delivery report. */
export class ConfluentProducer implements KafkaProducer {
  readonly #raw: RawClient<NativeProducer>;
  /** What librdkafka's queue holds at most. It counts values only. */
  readonly #queueBytes: number;
  /** Handed to librdkafka, not yet answered. */
  readonly #sent = new Set<Sending>();
  /** librdkafka's queue was full; the order is kept. */
  readonly #waiting: Sending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #fatal: KafkaWorkerError | undefined;
  #quiet: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ConfluentProducerOptions) {
    const { properties, logger } = options;
    this.#queueBytes = Number(properties['queue.buffering.max.kbytes'] ?? QUEUE_KBYTES) * 1024;
    const report = (error: KafkaWorkerError): void => {
      // Connections come and go below; what concerns a message comes back with its delivery report.
      logger.debug('kafka producer reports', { error: error.message });
    };
    const statistics = (text: string): void => options.statistics?.(() => readStatistics('producer', text));
    this.#raw = new RawClient({ ...options, report, statistics }, (callbacks) => {
      const { tellsEach = true } = options;
      const native = newNativeProducer(properties, { ...callbacks, ...(tellsEach && { dr_cb: true }) });
      if (options.heard !== undefined) native.on('event.log', options.heard);
      native.on('delivery-report', (error: unknown, report: DeliveryReport) => this.#delivered(error, report));
      return native;
    });
  }

  get fatal(): KafkaWorkerError | undefined {
    // The text may be on its way still.
    return this.#raw.events.fatal ?? this.#fatal;
  }

  async connect(options: ConnectOptions): Promise<void> {
    await this.#raw.connect(checkConnectOptions(options), () => this.#raw.native.setPollInBackground(true));
  }

  check(message: OutgoingRecord): void {
    toNativeMessage(message);
  }

  send(message: OutgoingRecord): Promise<Delivered> {
    const checked = toNativeMessage(message);
    this.assertOpen();
    return new Promise((resolve, reject) => {
      this.hand(checked, (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
    });
  }

  /** @throws IllegalStateError when nothing can be sent */
  assertOpen(): void {
    if (this.#closed === undefined && this.#raw.isConnected) return;
    throw new IllegalStateError(`the producer is ${this.#closed === undefined ? 'not connected' : 'closed'}`);
  }

  /** Sends without a promise, of which each costs: `answered` is called once, later or at once. To be asked after {@link assertOpen}. */
  hand(message: NativeMessage, answered: Answered): void {
    const { topic, value } = message;
    const bytes = value?.length ?? 0;
    if (bytes > this.#queueBytes) {
      answered(this.#tooLarge(topic, bytes));
      return;
    }
    const sending = { message, answered };
    if (this.#waiting.length === 0 && this.#produce(sending)) return;
    if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(sending);
      this.#tryAgain();
      return;
    }
    const text = `${topic}: too many messages wait to be sent (the brokers do not keep up, or are away)`;
    answered(new ProduceError(topic, text, { retriable: true }));
  }

  /** Hands a message over of which nobody hears again. False while librdkafka's queue is full. @throws ProduceError, IllegalStateError */
  enqueue({ topic, partition, value, key, headers }: NativeMessage): boolean {
    const bytes = value?.length ?? 0;
    if (bytes > this.#queueBytes) throw this.#tooLarge(topic, bytes);
    const { native } = this.#raw;
    try {
      // Without an opaque: for a message that nobody hears of the binding would keep it for ever.
      native.produce(topic, partition, value, key, null, undefined, headers);
      return true;
    } catch (thrown) {
      if (toNativeError(thrown).code === nativeCode.queueFull) return false;
      throw this.#produceError(topic, thrown);
    }
  }

  /** Makes a native call of another kind, such as those of transactions. Rejects as {@link RawClient.call} does. */
  call(what: string, timeoutMs: number, run: (native: NativeProducer, done: Done) => void): Promise<void> {
    return this.#raw.call<void>(what, timeoutMs, run);
  }

  async close(timeoutMs: number): Promise<void> {
    this.#closed ??= this.#close(checkTimeout('timeoutMs', timeoutMs));
    return this.#closed;
  }

  async #close(timeoutMs: number): Promise<void> {
    if (this.#raw.isUsable) {
      const quiet = new Promise<void>((resolve) => {
        this.#quiet = resolve;
      });
      this.#checkQuiet();
      await settledWithin(quiet, timeoutMs);
    }
    clearTimeout(this.#timer);
    await this.#raw.disconnect((native, done) => native.disconnect(FLUSH_MS, done));
    for (const { message, answered } of [...this.#sent, ...this.#waiting.splice(0)]) {
      const text = `${message.topic}: not acknowledged before the producer was closed`;
      answered(new ProduceError(message.topic, text, { retriable: true }));
    }
    this.#sent.clear();
  }

  /** False when librdkafka's queue is full. */
  #produce(sending: Sending): boolean {
    const { topic, partition, value, key, headers } = sending.message;
    try {
      this.#sent.add(sending);
      this.#raw.native.produce(topic, partition, value, key, null, sending, headers);
    } catch (thrown) {
      this.#sent.delete(sending);
      if (toNativeError(thrown).code === nativeCode.queueFull) return false;
      sending.answered(this.#produceError(topic, thrown));
    }
    return true;
  }

  #tryAgain(): void {
    clearTimeout(this.#timer);
    while (this.#waiting.length > 0 && this.#raw.isUsable) {
      if (!this.#produce(this.#waiting[0] as Sending)) {
        this.#timer = setTimeout(() => this.#tryAgain(), QUEUE_FULL_MS);
        return;
      }
      this.#waiting.shift();
    }
  }

  #delivered(error: unknown, { topic, partition, offset, opaque }: DeliveryReport): void {
    if (opaque === undefined || !this.#sent.delete(opaque)) return;
    // A negative one stands for "acknowledged, and it is not known where".
    const known = offset >= 0 ? offset : undefined;
    if (error === null || error === undefined) opaque.answered({ topic, partition, offset: known });
    else opaque.answered(this.#produceError(topic, error));
    if (this.#waiting.length > 0) this.#tryAgain();
    this.#checkQuiet();
  }

  #checkQuiet(): void {
    if (this.#sent.size === 0 && this.#waiting.length === 0) this.#quiet?.();
  }

  /** librdkafka would call its queue full, now and for ever. */
  #tooLarge(topic: string, bytes: number): ProduceError {
    const text = `${topic}: not sent: a value of ${bytes} bytes is more than the client's whole queue holds: raise librdkafka["queue.buffering.max.kbytes"]`;
    return new ProduceError(topic, text);
  }

  #produceError(topic: string, thrown: unknown): ProduceError {
    const { code, message } = toNativeError(thrown);
    if (deadProducerCodes.has(code))
      this.#fatal ??= new ClientError(`the producer has failed for good: ${message} (${code})`);
    const { fatal } = this;
    const text = fatal?.message ?? this.#raw.events.lastFailure;
    const isAboutConnection = isRetriableCode(code) && text !== undefined;
    const detail = fatal !== undefined || isAboutConnection ? `. ${text}` : '';
    // With another producer it may well be sent, unless this user may not, or these brokers cannot.
    const retriable = fatal === undefined ? isRetriableCode(code) : fatal instanceof ClientError;
    return new ProduceError(topic, `${topic}: not sent: ${message} (${code})${detail}`, { retriable, cause: thrown });
  }
}

interface DeliveryReport extends TopicPartition {
  readonly offset: number;
  readonly opaque?: Sending;
}
