import type { DeliverySession } from './delivery.ts';
import { GroupHistory } from './group-history.ts';
import type { KafkaConsumer, Watermarks } from './kafka-client.ts';
import { isKafkaWorkerError, toError } from './kafka-worker-error.ts';
import { logRanges, offsetOf, type PositionInLog } from './log-range.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import { type Start, startOffset } from './start-offset.ts';
import type { Subscription } from './subscription.ts';

/** Asks for everything that decides where partitions start. */
export class StartResolver {
  readonly #options: ResolvedWorkerOptions;
  readonly #consumer: KafkaConsumer;
  readonly #session: DeliverySession;
  readonly #subscription: Subscription;

  constructor(
    options: ResolvedWorkerOptions,
    consumer: KafkaConsumer,
    session: DeliverySession,
    subscription: Subscription,
  ) {
    this.#options = options;
    this.#consumer = consumer;
    this.#session = session;
    this.#subscription = subscription;
  }

  /** Those whose topic exists. */
  async existing(partitions: readonly TopicPartition[]): Promise<readonly TopicPartition[]> {
    const counts = await this.#consumer.partitionCounts([...new Set(partitions.map(({ topic }) => topic))]);
    return partitions.filter(({ topic }) => counts.has(topic));
  }

  /**
   * @param mayBeUnchecked whether partitions that are known to go on somewhere start there also when nobody says whether that is in their log, as when they
   * have no leader. Others wait for them with all that is assigned.
   * @throws OffsetOutOfRangeError, and what the client throws
   */
  async resolve(partitions: readonly TopicPartition[], mayBeUnchecked = false): Promise<Start[]> {
    if (partitions.length === 0) return [];
    const consumer = this.#consumer;
    const { startFrom, onOffsetOutOfRange, logger } = this.#options;
    const topics = [...new Set([...this.#subscription.topics, ...partitions.map((one) => one.topic)])];
    const [stored, partitionCounts] = await Promise.all([
      this.#session.startOffsets?.(partitions) ?? [],
      consumer.partitionCounts(topics),
    ]);
    const history = new GroupHistory(
      await (this.#session.committed?.bind(this.#session) ?? consumer.committed.bind(consumer))([
        ...everyPartition(partitionCounts, partitions),
      ]),
      partitionCounts,
      (topic) => this.#subscription.isNew(topic),
    );
    // Asked after the committed offsets: those of a moment ago may lie behind the end of a log that was asked for before.
    const positions = partitions.map(({ topic, partition }) => {
      const one = { topic, partition };
      return { ...one, offset: offsetOf(stored, one) ?? history.offsetOf(one) };
    });
    const ranges = await this.#ranges(positions, mayBeUnchecked);
    const fresh = positions.filter(({ offset }) => offset === undefined);
    const dates =
      typeof startFrom === 'string' || fresh.length === 0
        ? []
        : await consumer.offsetsFor(
            fresh.map(({ topic, partition }) => ({ topic, partition })),
            startFrom,
          );
    return partitions.map((partition, i) => {
      const { offset: known = 0 } = positions[i] ?? {};
      const isUnchecked = ranges[i] === undefined;
      const range = ranges[i] ?? { earliest: known, latest: known };
      const startFromOffset = typeof startFrom === 'string' ? range[startFrom] : offsetOf(dates, partition);
      const start = startOffset({
        partition: { topic: partition.topic, partition: partition.partition },
        history,
        range,
        startFromOffset: startFromOffset ?? range.earliest,
        onOffsetOutOfRange,
        storedOffset: offsetOf(stored, partition),
      });
      const { topic, offset, committedOffset } = start;
      if (committedOffset !== undefined && committedOffset !== offset && offsetOf(stored, partition) === undefined) {
        const fields = { topic, partition: partition.partition, from: committedOffset, to: offset };
        logger.warn('a committed offset is outside the log and moves, as onOffsetOutOfRange says', fields);
      }
      return isUnchecked ? { ...start, isUnchecked } : start;
    });
  }

  /** Undefined for those that nobody knows. */
  async #ranges(
    positions: readonly PositionInLog[],
    mayBeUnchecked: boolean,
  ): Promise<readonly (Watermarks | undefined)[]> {
    const { logger } = this.#options;
    const rethrowUnlessAllowed = (thrown: unknown): void => {
      if (!mayBeUnchecked || !isKafkaWorkerError(thrown) || !thrown.retriable) throw thrown;
    };
    try {
      return await logRanges(this.#consumer, positions);
    } catch (thrown) {
      rethrowUnlessAllowed(thrown);
    }
    // One by one: a partition without a leader tells nothing of the others.
    return Promise.all(
      positions.map(async (one) => {
        try {
          return (await logRanges(this.#consumer, [one]))[0];
        } catch (thrown) {
          if (one.offset === undefined) throw thrown;
          rethrowUnlessAllowed(thrown);
          const { topic, partition, offset } = one;
          const what = 'a partition is taken over, though nobody says whether where it goes on is in its log';
          logger.warn(what, { topic, partition, offset, error: toError(thrown) });
          return undefined;
        }
      }),
    );
  }
}

/** Of the topics that are known, and whatever else is asked for: metadata may lag behind an assignment. */
function* everyPartition(
  counts: ReadonlyMap<string, number>,
  asked: readonly TopicPartition[],
): Generator<TopicPartition> {
  for (const [topic, count] of counts)
    for (let partition = 0; partition < count; partition++) yield { topic, partition };
  for (const { topic, partition } of asked) if (partition >= (counts.get(topic) ?? 0)) yield { topic, partition };
}
