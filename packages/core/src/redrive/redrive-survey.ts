import { UnknownTopicError } from '../errors.ts';
import type { KafkaConsumer, StartOffset } from '../kafka-client.ts';
import type { TopicPartition } from '../record.ts';
import type { ResolvedRedriveOptions } from './redrive-options.ts';
import { RedriveScope, type ScopePartition } from './redrive-scope.ts';

/** A topic that was just made may not be known everywhere yet. */
const UNKNOWN_TOPIC_TRIES = 3;
const UNKNOWN_TOPIC_RETRY_MS = 500;

/** What a redrive asks the cluster beside its worker's work, through a client that never joins the group. */
export class RedriveSurvey {
  readonly #consumer: KafkaConsumer;
  readonly #options: ResolvedRedriveOptions;
  readonly #targets = new Map<string, Promise<number>>();

  constructor(options: ResolvedRedriveOptions) {
    const { kafka, groupId, clock, logger } = options;
    this.#options = options;
    this.#consumer = kafka.consumer({ groupId, groupProtocol: 'classic', clock, logger });
  }

  async connect(): Promise<void> {
    const { connectTimeoutMs, signal } = this.#options;
    await this.#consumer.connect({ timeoutMs: connectTimeoutMs, ...(signal === undefined ? {} : { signal }) });
  }

  /** @throws UnknownTopicError */
  async scope(): Promise<RedriveScope> {
    const { from } = this.#options;
    const count = await this.partitionCount(from);
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic: from, partition }));
    // Committed offsets before ends: a commit of a moment ago may lie behind an end that was asked for before it.
    const committed = await this.#consumer.committed(partitions);
    const [earliest, latest] = await Promise.all([
      this.#consumer.offsetsFor(partitions, 'earliest'),
      this.#consumer.offsetsFor(partitions, 'latest'),
    ]);
    return new RedriveScope(
      from,
      partitions.map(({ topic, partition }): ScopePartition => {
        const of = <One extends TopicPartition>(list: readonly One[]): One | undefined =>
          list.find((one) => one.partition === partition);
        const first = of(earliest)?.offset ?? 0;
        const end = of(latest)?.offset ?? 0;
        const known = of(committed)?.offset;
        const isInLog = known !== undefined && known >= first && known <= end;
        return { topic, partition, start: isInLog ? known : first, end, stale: isInLog ? undefined : known };
      }),
    );
  }

  async committed(partitions: readonly TopicPartition[]): Promise<StartOffset[]> {
    const committed = await this.#consumer.committed(partitions);
    return committed.flatMap(({ topic, partition, offset }) =>
      offset === undefined ? [] : [{ topic, partition, offset }],
    );
  }

  ends(partitions: readonly TopicPartition[]): Promise<StartOffset[]> {
    return this.#consumer.offsetsFor(partitions, 'latest');
  }

  /**
   * Asked once for each topic. Producers would have a topic made that does not exist.
   * @throws UnknownTopicError
   */
  partitionCount(topic: string): Promise<number> {
    const known = this.#targets.get(topic) ?? this.#ask(topic);
    this.#targets.set(topic, known);
    return known;
  }

  close(): Promise<void> {
    return this.#consumer.close();
  }

  async #ask(topic: string): Promise<number> {
    for (let tries = 1; ; tries++) {
      const count = (await this.#consumer.partitionCounts([topic])).get(topic);
      if (count !== undefined) return count;
      if (tries === UNKNOWN_TOPIC_TRIES) throw new UnknownTopicError([topic]);
      await new Promise<void>((resolve) => this.#options.clock.setTimeout(resolve, UNKNOWN_TOPIC_RETRY_MS));
    }
  }
}
