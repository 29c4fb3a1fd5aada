import type { Clock, Timer } from './clock.ts';
import { UnknownTopicError } from './errors.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import { isKafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { Logger } from './logger.ts';
import { Waits } from './waits.ts';

const REFRESH_MS = 30_000;
/** A topic that was made a moment ago may not be known to every broker yet. */
const UNKNOWN_TOPIC_TRIES = 5;
const UNKNOWN_TOPIC_RETRY_MS = 300;

/**
 * The topics of a worker: names, and regular expressions that are matched here, with JavaScript's RegExp, against the cluster's metadata,
 * because brokers and protocols read patterns differently.
 */
export class Subscription {
  readonly #consumer: KafkaConsumer;
  readonly #names: readonly string[];
  readonly #patterns: readonly RegExp[];
  readonly #clock: Clock;
  readonly #waits: Waits;
  readonly #logger: Logger;
  #timer: Timer | undefined;
  #topics: readonly string[] = [];
  #firstTopics: ReadonlySet<string> = new Set();
  #isClosed = false;

  constructor(consumer: KafkaConsumer, topics: readonly (string | RegExp)[], clock: Clock, logger: Logger) {
    this.#consumer = consumer;
    this.#names = topics.filter((topic) => typeof topic === 'string');
    this.#patterns = topics.filter((topic) => topic instanceof RegExp);
    this.#clock = clock;
    this.#waits = new Waits(clock);
    this.#logger = logger;
  }

  /** What is subscribed now. */
  get topics(): readonly string[] {
    return this.#topics;
  }

  /** Whether a topic appeared after the start. */
  isNew(topic: string): boolean {
    return !this.#firstTopics.has(topic);
  }

  /**
   * Looks the topics up and joins the group for them.
   * @throws UnknownTopicError for a name that does not exist
   */
  async start(): Promise<void> {
    let topics = await this.#lookUp();
    for (let tries = 1; missing(this.#names, topics).length > 0 && tries < UNKNOWN_TOPIC_TRIES; tries++) {
      await this.#waits.wait(UNKNOWN_TOPIC_RETRY_MS);
      if (this.#isClosed) return;
      topics = await this.#lookUp();
    }
    const unknown = missing(this.#names, topics);
    if (unknown.length > 0) throw new UnknownTopicError(unknown);
    if (topics.length === 0) this.#logger.warn('no topic matches yet', { patterns: this.#patterns.map(String) });
    this.#firstTopics = new Set(topics);
    this.#subscribe(topics);
    this.#refreshLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.clear();
    this.#waits.close();
  }

  async #lookUp(): Promise<readonly string[]> {
    if (this.#patterns.length === 0) return [...(await this.#consumer.partitionCounts(this.#names)).keys()];
    const all = [...(await this.#consumer.partitionCounts()).keys()];
    return all.filter((topic) => this.#names.includes(topic) || this.#patterns.some((pattern) => pattern.test(topic)));
  }

  #subscribe(topics: readonly string[]): void {
    this.#topics = [...topics].sort();
    if (topics.length > 0) this.#consumer.subscribe(this.#topics);
  }

  #refreshLater(): void {
    if (this.#patterns.length === 0 || this.#isClosed) return;
    this.#timer = this.#clock.setTimeout(() => void this.#refresh(), REFRESH_MS);
  }

  async #refresh(): Promise<void> {
    try {
      const found = await this.#lookUp();
      if (this.#isClosed) return;
      // A name that is gone for the moment stays subscribed: the client reports it.
      const topics = [...new Set([...found, ...this.#names])].sort();
      if (topics.join() !== this.#topics.join() && topics.length > 0) this.#subscribe(topics);
    } catch (thrown) {
      const error = toError(thrown);
      if (!isKafkaWorkerError(thrown) || !thrown.retriable)
        this.#logger.error('topics could not be looked up', { error });
    }
    this.#refreshLater();
  }
}

function missing(names: readonly string[], topics: readonly string[]): string[] {
  return names.filter((name) => !topics.includes(name));
}
