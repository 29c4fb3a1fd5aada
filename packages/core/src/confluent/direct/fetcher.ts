import { ConnectionError, PollError, UnsupportedBrokerError } from '../../errors.ts';
import { Answers, type AnswersParts } from './answers.ts';
import { roomOf } from './buffer-room.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import type { DirectPartition } from './direct-partition.ts';
import { askedKey, type FetchRound, fetchRound } from './fetch-round.ts';
import { LeaderLink } from './leader-link.ts';
import { Leaders, textOf } from './leaders.ts';
import { NO_TOPIC_ID } from './metadata.ts';
import { compactBytes, ownBytes } from './own-bytes.ts';
import { Reported } from './reported.ts';
import { reportThrottle } from './throttle.ts';

/** A broker whose address is not known is asked again after this. */
const NO_ADDRESS_MS = 100;

/** So often in a row a broker may fail before it is said: one that is restarted elsewhere is known by then. */
const QUIET_FAILURES = 3;

/** What a fetcher works with. */
export interface FetcherParts extends Pick<AnswersParts, 'report' | 'rangeOf' | 'leave'> {
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
  readonly #links = new Map<number, LeaderLink>();
  readonly #leaders: Leaders;
  readonly #answers: Answers;
  readonly #reported: Reported;
  #isRunning = true;
  #timer: NodeJS.Timeout | undefined;
  #isAskingLibrdkafka = false;
  #receivedBytes = 0;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
    const { library, options, report, rangeOf, leave } = parts;
    this.#leaders = new Leaders({ library, options, report, changed: () => this.turn() });
    this.#reported = new Reported(report);
    this.#answers = new Answers({
      ...{ map: this.#leaders.map, codecs: library.codecs, isReadCommitted: options.isReadCommitted },
      ...{ report, rangeOf, leave },
      leaderLost: () => this.#leaders.want(),
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
    this.#leaders.stop();
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
    // What becomes of a partition that is being given back is nobody's business here.
    const partitions = this.#parts.partitions().filter(({ isWithheld }) => !isWithheld);
    if (partitions.length === 0) return;
    const now = performance.now();
    let wakeAt = Number.POSITIVE_INFINITY;
    const wanted = new Map<number, DirectPartition[]>();
    const full = new Set<number>();
    const roomBytes = roomOf(partitions, this.#parts.options.partitionBytes);
    for (const owned of partitions) {
      const leader = this.#leaderOf(owned);
      this.#lookAtSilence(owned, now);
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
      else void this.#ask(id, link, fetchRound(list, this.#leaders.map, this.#parts.options, full.has(id), now));
    }
    wakeAt = Math.min(wakeAt, this.#leaders.turn(partitions, now));
    clearTimeout(this.#timer);
    if (wakeAt < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.turn(), Math.max(1, wakeAt - now));
  }

  /** Undefined, and asked for, while nobody is known to lead it. */
  #leaderOf(owned: DirectPartition): number | undefined {
    const { map } = this.#leaders;
    const topicId = map.topicIdOf(owned.topic);
    const leader = map.leaderOf(owned);
    if (topicId === undefined || leader === undefined) {
      this.#leaders.want();
      return undefined;
    }
    if (owned.stoppedBy !== undefined) return undefined;
    if (topicId === NO_TOPIC_ID) {
      this.#parts.leave(owned, 'its topic has no id, by which it would be asked for');
      return undefined;
    }
    // Bound by the first answer: what was told before may have been out of date.
    if (owned.topicId !== undefined && owned.topicId !== topicId) {
      this.#answers.recreated(owned);
      return undefined;
    }
    return leader.id;
  }

  #linkTo(id: number): LeaderLink {
    const link = this.#links.get(id) ?? new LeaderLink();
    this.#links.set(id, link);
    return link;
  }

  async #ask(id: number, link: LeaderLink, round: FetchRound): Promise<void> {
    const { library, options } = this.#parts;
    const address = this.#leaders.map.brokerOf(id);
    if (address === undefined) {
      this.#leaders.want();
      // A replica that has gone: the leader has what it had.
      for (const { owned } of round.asked.values()) owned.leaveReplica();
      link.notBefore = performance.now() + NO_ADDRESS_MS;
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
      reportThrottle(this.#reported, id, response.throttleMs);
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

  #received(round: FetchRound, { topics, brokers, throttleMs }: Awaited<ReturnType<LeaderLink['fetch']>>): void {
    if (!this.#isRunning) return;
    // To who has used up a quota brokers say nothing of any partition, only when to come back.
    if (throttleMs > 0 && topics.every(({ partitions }) => partitions.length === 0)) return;
    const missing = new Set(round.asked.values());
    const [first] = missing;
    for (const { topicId, partitions } of topics) {
      for (const answer of partitions) {
        const asked = round.asked.get(askedKey(topicId, answer.partition));
        this.#receivedBytes += answer.records?.length ?? 0;
        if (asked === undefined || !missing.delete(asked)) continue;
        if (asked.owned.isWithheld || asked.owned.moves !== asked.moves) continue;
        if (answer.errorCode === 0) asked.owned.topicId = topicId;
        // Of a response for several, a record that is kept keeps what came with it of its own partition only.
        const own = round.asked.size === 1 ? compactBytes : ownBytes;
        const records = answer.records && own(answer.records);
        this.#answers.received(asked.owned, { ...answer, records }, brokers, asked === first);
      }
    }
    for (const { owned } of missing) this.#answers.missing(owned);
  }

  #askFailed(id: number, link: LeaderLink, round: FetchRound, failure: unknown): void {
    // It may lead no more, or be somewhere else.
    this.#leaders.want();
    const { host, port } = this.#leaders.map.brokerOf(id) ?? { host: '', port: 0 };
    const message = `no records from broker ${id} (${host}:${port}): ${textOf(failure)}`;
    const isUnsupported = failure instanceof UnsupportedBrokerError;
    for (const { owned, moves } of round.asked.values()) {
      const isReplica = owned.replicaAt(performance.now()) !== undefined;
      owned.leaveReplica();
      if (isReplica || owned.isWithheld || owned.moves !== moves) continue;
      if (isUnsupported) this.#parts.leave(owned, failure.message);
      else owned.failed(message, true);
    }
    if (isUnsupported || link.failures < QUIET_FAILURES) return;
    const brokers = [`${host}:${port}`];
    this.#reported.begins(`broker ${id}`, new ConnectionError(message, { brokers, cause: failure }));
  }

  #lookAtSilence(owned: DirectPartition, now: number): void {
    const { silence } = owned;
    if (silence === undefined || !owned.isOpen || owned.stoppedBy !== undefined) return;
    const step = silence.step(now, !this.#isAskingLibrdkafka);
    const forMs = `for ${Math.round(silence.lastsMs(now))} ms: ${silence.reason}`;
    if (step === 'tell') {
      const message = `${owned.topic}/${owned.partition}: nothing can be read of it ${forMs}`;
      this.#parts.report(new PollError(message, { retriable: true }));
    } else if (step === 'ask librdkafka') {
      void this.#askLibrdkafka(owned);
    } else if (step === 'leave it to librdkafka') {
      this.#parts.leave(owned, `librdkafka reaches its leader, and this reader does not ${forMs}`);
    }
  }

  /** One question at a time, for all that the same broker leads: each holds a thread of Node's pool until it is answered. */
  async #askLibrdkafka(owned: DirectPartition): Promise<void> {
    const { topic, partition } = owned;
    const leader = this.#leaders.map.leaderOf(owned)?.id;
    this.#isAskingLibrdkafka = true;
    const isReached = await this.#parts.rangeOf({ topic, partition }).then(
      () => true,
      () => false,
    );
    this.#isAskingLibrdkafka = false;
    for (const other of this.#parts.partitions())
      if (this.#leaders.map.leaderOf(other)?.id === leader) other.silence?.answered(isReached, performance.now());
    this.turn();
  }
}
