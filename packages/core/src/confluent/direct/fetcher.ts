import { ConnectionError, PollError, toError, UnsupportedBrokerError } from '../../errors.ts';
import type { TopicPartition } from '../../record.ts';
import { topicRefused } from '../refusals.ts';
import { Answers, type AnswersParts } from './answers.ts';
import { backoffMs } from './backoff.ts';
import { ClusterMap } from './cluster-map.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import type { DirectPartition } from './direct-partition.ts';
import { askedKey, type FetchRound, fetchRound } from './fetch-round.ts';
import { LeaderLink } from './leader-link.ts';
import type { TopicMetadata } from './metadata.ts';
import { MetadataSource } from './metadata-source.ts';
import { Reported } from './reported.ts';

/** Of all partitions together no more than this, and what is on its way, waits to be taken. */
const BUFFER_BYTES = 16 * 1024 * 1024;

/** Who leads is asked again at the earliest after this. */
const REFRESH_MS = 100;

/** So often in a row a broker may fail before it is said: one that is restarted elsewhere is known by then. */
const QUIET_FAILURES = 3;

const UNKNOWN_TOPIC = 3;
const TOPIC_REFUSED = 29;

/** What a fetcher works with. */
export interface FetcherParts extends Pick<AnswersParts, 'report' | 'rangeOf'> {
  readonly library: DirectLibrary;
  readonly options: DirectOptions;
  /** The partitions that are assigned here, beginning with another one each time. */
  readonly partitions: () => readonly DirectPartition[];
  /** There may be something new to take. */
  readonly changed: () => void;
}

/**
 * Fetches records from the leaders: one request to each is on its way as long as something is wanted of it. All that happens (an answer, a failure,
 * room, a new partition, a timer) ends in one turn, which decides, at once, what is asked of whom.
 */
export class Fetcher {
  readonly #parts: FetcherParts;
  readonly #map = new ClusterMap();
  readonly #links = new Map<number, LeaderLink>();
  readonly #metadata: MetadataSource;
  readonly #answers: Answers;
  readonly #reported: Reported;
  #isRunning = true;
  #timer: NodeJS.Timeout | undefined;
  #isRefreshing = false;
  #isRefreshWanted = false;
  #refreshFailures = 0;
  #refreshNotBefore = 0;
  #receivedBytes = 0;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
    const { library, options, report, rangeOf } = parts;
    this.#metadata = new MetadataSource(library, options, this.#map);
    this.#reported = new Reported(report);
    this.#answers = new Answers({
      ...{ map: this.#map, codecs: library.codecs, isReadCommitted: options.isReadCommitted, report, rangeOf },
      leaderLost: () => {
        this.#isRefreshWanted = true;
      },
      changed: () => this.turn(),
    });
  }

  /** Bytes of all responses so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get answers(): Pick<Answers, 'unreadable'> {
    return this.#answers;
  }

  stop(): void {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#metadata.close();
    for (const link of this.#links.values()) link.close();
  }

  /** Room has come up: a turn, if there is anybody to ask. */
  room(): void {
    for (const link of this.#links.values()) {
      if (link.isBusy) continue;
      this.turn();
      return;
    }
  }

  /** Asks for whatever can be asked for now. */
  turn(): void {
    if (!this.#isRunning) return;
    const partitions = this.#parts.partitions();
    if (partitions.length === 0) return;
    const now = Date.now();
    let wakeAt = Number.POSITIVE_INFINITY;
    const wanted = new Map<number, DirectPartition[]>();
    const full = new Set<number>();
    const roomBytes = this.#roomOf(partitions);
    for (const owned of partitions) {
      const leader = this.#leaderOf(owned);
      if (leader === undefined || !owned.isOpen || owned.stoppedBy !== undefined || owned.isAsked) continue;
      const id = owned.replicaAt(now) ?? leader;
      if (owned.bytes > roomBytes) full.add(id);
      else if (owned.notBefore > now) wakeAt = Math.min(wakeAt, owned.notBefore);
      else if (!wanted.get(id)?.push(owned)) wanted.set(id, [owned]);
    }
    for (const [id, list] of wanted) {
      const link = this.#linkTo(id);
      if (link.isBusy) continue;
      if (link.notBefore > now) wakeAt = Math.min(wakeAt, link.notBefore);
      else void this.#ask(id, link, fetchRound(list, this.#map, this.#parts.options, full.has(id)));
    }
    if (this.#isRefreshWanted && !this.#isRefreshing) {
      if (now < this.#refreshNotBefore) wakeAt = Math.min(wakeAt, this.#refreshNotBefore);
      else void this.#refresh(partitions);
    }
    clearTimeout(this.#timer);
    if (wakeAt < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.turn(), Math.max(1, wakeAt - now));
  }

  /** How much may wait of a single partition. */
  #roomOf(partitions: readonly DirectPartition[]): number {
    let bytes = 0;
    for (const owned of partitions) bytes += owned.bytes;
    // Beyond the bound only those are asked for of which nothing waits: they stand still otherwise.
    return bytes < BUFFER_BYTES ? this.#parts.options.partitionBytes : 0;
  }

  /** Undefined, and asked for, while nobody is known to lead it. */
  #leaderOf(owned: DirectPartition): number | undefined {
    const topicId = this.#map.topicIdOf(owned.topic);
    const leader = this.#map.leaderOf(owned);
    if (topicId === undefined || leader === undefined) {
      this.#isRefreshWanted = true;
      return undefined;
    }
    if (owned.topicId !== undefined && owned.topicId !== topicId) {
      if (owned.stoppedBy === undefined) this.#answers.recreated(owned);
      return undefined;
    }
    owned.topicId = topicId;
    return leader.id;
  }

  #linkTo(id: number): LeaderLink {
    const link = this.#links.get(id) ?? new LeaderLink();
    this.#links.set(id, link);
    return link;
  }

  async #ask(id: number, link: LeaderLink, round: FetchRound): Promise<void> {
    const { library, options } = this.#parts;
    const address = this.#map.brokerOf(id);
    if (address === undefined) {
      this.#isRefreshWanted = true;
      // A replica that has gone: the leader has what it had.
      for (const { owned } of round.asked.values()) owned.readFrom(undefined);
      link.notBefore = Date.now() + REFRESH_MS;
      setImmediate(() => this.turn());
      return;
    }
    link.isBusy = true;
    for (const { owned } of round.asked.values()) owned.isAsked = true;
    let failure: unknown;
    try {
      const response = await link.fetch(library, options, address, round.request);
      this.#received(round, response);
      this.#reported.ended(`broker ${id}`);
    } catch (error) {
      failure = error;
    }
    link.isBusy = false;
    for (const { owned } of round.asked.values()) owned.isAsked = false;
    if (!this.#isRunning) return;
    if (failure !== undefined) this.#askFailed(id, link, round, failure);
    // The next request is on its way before anybody reads what this one has brought.
    this.turn();
    this.#parts.changed();
  }

  #received(round: FetchRound, { topics, brokers, errorCode }: Awaited<ReturnType<LeaderLink['fetch']>>): void {
    if (!this.#isRunning) return;
    if (errorCode !== 0) throw new Error(`the broker refuses to be asked (${errorCode})`);
    for (const { topicId, partitions } of topics) {
      for (const answer of partitions) {
        const asked = round.asked.get(askedKey(topicId, answer.partition));
        this.#receivedBytes += answer.records?.length ?? 0;
        if (asked === undefined || asked.owned.isWithheld || asked.owned.moves !== asked.moves) continue;
        // Of a response for several, a record that is kept keeps what came with it of its own partition only.
        const isAlone = round.asked.size === 1 || answer.records === null;
        const own = isAlone ? answer : { ...answer, records: Buffer.from(answer.records) };
        this.#answers.received(asked.owned, own, brokers);
      }
    }
  }

  #askFailed(id: number, link: LeaderLink, round: FetchRound, failure: unknown): void {
    // It may lead no more, or be somewhere else.
    this.#isRefreshWanted = true;
    for (const { owned } of round.asked.values()) owned.readFrom(undefined);
    const { host, port } = this.#map.brokerOf(id) ?? { host: '', port: 0 };
    if (failure instanceof UnsupportedBrokerError) {
      this.#reported.begins(`broker ${id}`, failure);
    } else if (link.failures >= QUIET_FAILURES) {
      const message = `no records from broker ${id} (${host}:${port}): ${textOf(failure)}`;
      const brokers = [`${host}:${port}`];
      this.#reported.begins(`broker ${id}`, new ConnectionError(message, { brokers, cause: failure }));
    }
  }

  async #refresh(partitions: readonly TopicPartition[]): Promise<void> {
    this.#isRefreshing = true;
    this.#isRefreshWanted = false;
    const topics = [...new Set(partitions.map(({ topic }) => topic))];
    try {
      const failed = this.#map.learn(await this.#metadata.ask(topics));
      for (const topic of failed) this.#topicFailed(topic);
      for (const topic of topics) if (failed.every(({ name }) => name !== topic)) this.#reported.ended(topic);
      const isComplete = failed.length === 0 && partitions.every((one) => this.#map.leaderOf(one) !== undefined);
      this.#refreshFailures = isComplete ? 0 : this.#refreshFailures + 1;
      if (failed.length === 0) this.#lookForLeaderless(partitions);
      this.#reported.ended('metadata');
    } catch (error) {
      this.#refreshFailures++;
      this.#isRefreshWanted = true;
      if (this.#refreshFailures >= QUIET_FAILURES) {
        const { brokers } = this.#parts.options;
        const message = `no broker says who leads the partitions: ${textOf(error)}`;
        this.#reported.begins('metadata', new ConnectionError(message, { brokers, cause: error }));
      }
    }
    this.#isRefreshing = false;
    this.#refreshNotBefore = Date.now() + (this.#refreshFailures === 0 ? REFRESH_MS : backoffMs(this.#refreshFailures));
    this.turn();
  }

  #lookForLeaderless(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      const name = `${topic}/${partition}`;
      if (this.#map.leaderOf({ topic, partition }) !== undefined) this.#reported.ended(name);
      else if (this.#refreshFailures >= QUIET_FAILURES)
        this.#reported.begins(name, new PollError(`${name}: it has no leader`, { retriable: true }));
    }
  }

  #topicFailed({ name, errorCode }: TopicMetadata): void {
    if (errorCode === TOPIC_REFUSED) {
      this.#reported.begins(name, topicRefused('DESCRIBE', [name], undefined));
    } else if (errorCode === UNKNOWN_TOPIC) {
      this.#map.forgetTopic(name);
      const message = `${name}: the topic is not there (any more)`;
      this.#reported.begins(name, new PollError(message, { retriable: true }));
    } else {
      const message = `${name}: no broker says who leads it (${errorCode})`;
      this.#reported.begins(name, new PollError(message, { retriable: true }));
    }
  }
}

function textOf(error: unknown): string {
  const { message, cause } = toError(error);
  return cause instanceof Error ? `${message} ${cause.message}` : message;
}
