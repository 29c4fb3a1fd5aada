import { ClientError, IllegalStateError, InvalidOptionError } from '../errors.ts';
import type { AssignmentEvent, StartOffset } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { Logger } from '../logger.ts';
import type { TopicPartition } from '../record.ts';
import { pauseFor } from './bounded.ts';
import { toNativeError } from './client-errors.ts';
import { ClosingAnswer } from './closing-answer.ts';
import type { NativeConsumer } from './native-client.ts';
import type { RecordReader } from './record-reader.ts';

const ASSIGN = -175;

/** How long leaving may take before the client is closed as it stands. */
const LEAVE_MS = 5_000;

/** A member without partitions is told nothing under KIP-848: when no news has come for so long, it is one of these. */
const NO_NEWS_MS = 5_000;

/**
 * The control side: what the group gives and takes. librdkafka asks one question at a time and waits for its answer, however long that
 * takes, so the callback only notes it: the event surfaces in a poll, and `assign` or `release` is the answer. Everything must be
 * answered once, an empty list and what comes while closing by this class itself: an open question keeps the client from ever closing.
 */
export class GroupMember {
  readonly #native: NativeConsumer;
  readonly #reader: RecordReader;
  readonly #logger: Logger;
  readonly #changed: () => void;
  readonly #failed: (error: KafkaWorkerError) => void;
  readonly #groupProtocol: string;
  /** Not yet seen by a poll. */
  #news: AssignmentEvent[] = [];
  /** What librdkafka waits for. */
  #open: AssignmentEvent | undefined;
  /** Once known it is kept: a client that is closing calls it 'NONE'. */
  #isCooperative = true;
  #isLeaving = false;
  /** Once the client is being disconnected. */
  #closing: ClosingAnswer | undefined;
  /** Since when the group is asked to take it in; undefined before, and when it has. */
  #askedAt: number | undefined;
  #isTold = false;
  /** How often the group has gone on without it. */
  #losses = 0;

  constructor(
    native: NativeConsumer,
    reader: RecordReader,
    logger: Logger,
    events: { changed(): void; failed(error: KafkaWorkerError): void },
    groupProtocol: string,
  ) {
    this.#native = native;
    this.#reader = reader;
    this.#logger = logger;
    this.#changed = () => events.changed();
    this.#failed = (error) => events.failed(error);
    this.#groupProtocol = groupProtocol;
  }

  /** The group is asked to take it in. */
  subscribed(): void {
    if (!this.#isTold) this.#askedAt ??= Date.now();
  }

  get isMember(): boolean {
    if (this.#isLeaving) return false;
    if (this.#isTold || this.#askedAt === undefined) return this.#isTold;
    // In a classic group each member is told, and may wait long for it, until the others have let go.
    return this.#groupProtocol === 'consumer' && Date.now() - this.#askedAt >= NO_NEWS_MS;
  }

  /** Whether the group has taken it in and told it so, and not lost it since. */
  get wasTold(): boolean {
    return this.#isTold;
  }

  /**
   * A mark of its membership as it is: undefined when there is none, another one after every loss. While it stays the same, nothing was lost,
   * also nothing that has not been reported yet.
   */
  get membership(): number | undefined {
    return this.isMember && !this.#isLost() ? this.#losses : undefined;
  }

  /** The client is disconnected from now on: most of its calls are refused, and some would crash or never return. */
  disconnecting(): void {
    this.#isLeaving = true;
    this.#news = [];
    this.#closing = new ClosingAnswer(this.#native, this.#logger);
  }

  /** Nothing is asked any more. */
  disconnected(): void {
    this.#closing?.stop();
  }

  /** librdkafka's rebalance callback. */
  rebalance(code: number, list: readonly TopicPartition[]): void {
    if (this.#closing !== undefined) {
      if (code === ASSIGN) this.#closing.assigned();
      else this.#closing.revoked();
      return;
    }
    const partitions = list.map(({ topic, partition }) => ({ topic, partition }));
    const type = code === ASSIGN ? 'assigned' : this.#isLost() ? 'lost' : 'revoked';
    if (type === 'lost') this.#losses++;
    this.#learnProtocol();
    this.#isTold = type !== 'lost';
    this.#askedAt = type === 'lost' ? Date.now() : undefined;
    const event: AssignmentEvent = { type, partitions };
    this.#open = event;
    if (partitions.length === 0 || this.#isLeaving) {
      this.#answerItself();
      return;
    }
    this.#news.push(event);
    this.#changed();
  }

  /** The events since the last time, in order. From now on nothing is read of partitions that they take away. */
  takeEvents(): readonly AssignmentEvent[] {
    if (this.#news.length === 0) return [];
    const events = this.#news;
    this.#news = [];
    for (const event of events) if (event.type !== 'assigned') this.#reader.withhold(event.partitions);
    return events;
  }

  assign(starts: StartOffset[]): void {
    const event = this.#open;
    if (event?.type !== 'assigned') throw new IllegalStateError('assign answers an assigned event, and none is open');
    checkSame('partitions', event.partitions, starts);
    this.#open = undefined;
    // An assigned event that was answered before any poll saw it is no news any more.
    this.#news = this.#news.filter((other) => other !== event);
    this.#reader.own(starts);
    // librdkafka would ask for the epoch's end before it reads, and stop the partition where that is below the offset, without naming it.
    const places = starts.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
    try {
      if (this.#isCooperative) this.#native.incrementalAssign(places);
      else this.#native.assign(places);
      this.#reader.started(event.partitions);
    } catch (thrown) {
      this.#assignFailed(event.partitions, thrown);
    }
  }

  release(partitions: TopicPartition[]): void {
    const event = this.#open;
    if (event === undefined || event.type === 'assigned') {
      throw new IllegalStateError('release answers a revoked or lost event, and none is open');
    }
    checkSame('partitions', event.partitions, partitions);
    this.#open = undefined;
    this.#news = this.#news.filter((other) => other !== event);
    this.#letGo(event);
  }

  /** Takes a partition anew, at that offset: librdkafka has stopped reading it, after an error, and does not move it either. */
  restart(start: StartOffset): void {
    const { topic, partition } = start;
    const isOurs = Array.from(this.#reader.owned).some(
      (one) => one.topic === topic && one.partition === partition && !one.isWithheld,
    );
    // librdkafka would take it for the answer to an open event.
    if (!isOurs || this.#open !== undefined) {
      throw new IllegalStateError(
        `${topic}/${partition} cannot be read anew: it is being assigned or taken away, or is not ours`,
      );
    }
    if (this.#isCooperative) {
      this.#native.incrementalUnassign([{ topic, partition }]);
      this.#native.incrementalAssign([start]);
      return;
    }
    const others = Array.from(this.#reader.owned, (owned) => ({
      topic: owned.topic,
      partition: owned.partition,
      offset: owned.next,
    }));
    this.#native.assign([...others.filter((other) => other.topic !== topic || other.partition !== partition), start]);
  }

  /** Answers everything from now on, and gives back what is assigned. Resolves when nothing is, or the time is up. */
  async leave(mode: 'leave-group' | 'keep-membership'): Promise<void> {
    this.#isLeaving = true;
    this.#news = [];
    if (this.#open !== undefined) this.#answerItself();
    if (mode === 'keep-membership') return;
    const deadline = Date.now() + LEAVE_MS;
    try {
      this.#native.unsubscribe();
      while (this.#native.assignments().length > 0 && Date.now() < deadline) await pauseFor(5);
    } catch (thrown) {
      this.#logger.debug('kafka client could not leave its group', { reason: toNativeError(thrown).message });
    }
  }

  #answerItself(): void {
    const event = this.#open;
    this.#open = undefined;
    if (event === undefined) return;
    if (event.type !== 'assigned') {
      this.#letGo(event);
      return;
    }
    try {
      // While closing, what is offered is not taken.
      if (this.#isCooperative) this.#native.incrementalAssign([]);
      else this.#native.assign([]);
    } catch {
      this.#unassignAll();
    }
  }

  #letGo(event: AssignmentEvent): void {
    const partitions = [...event.partitions];
    try {
      this.#reader.disown(partitions);
    } catch (thrown) {
      this.#logger.debug('kafka client could not resume what it gives back', { reason: toNativeError(thrown).message });
    }
    try {
      if (this.#isCooperative) this.#native.incrementalUnassign(this.#taken(partitions));
      else this.#native.unassign();
    } catch (thrown) {
      this.#logger.debug('kafka client gives everything back', { reason: toNativeError(thrown).message });
      this.#unassignAll();
    }
  }

  /** Those that librdkafka reads: it gives nothing back when one of a list was offered and never taken, and waits for ever then. */
  #taken(partitions: readonly TopicPartition[]): TopicPartition[] {
    const assigned = new Set(this.#native.assignments().map(nameOf));
    return partitions.filter((partition) => assigned.has(nameOf(partition)));
  }

  #unassignAll(): void {
    try {
      if (this.#isCooperative) {
        const all = this.#native.assignments().map(({ topic, partition }) => ({ topic, partition }));
        this.#native.incrementalUnassign(all);
        return;
      }
    } catch {
      // A client that is closing takes nothing but the other form.
    }
    try {
      this.#native.unassign();
    } catch (thrown) {
      // A client that is disconnected has nothing any more.
      if (!this.#native.isConnected()) return;
      this.#logger.warn('kafka client could not give partitions back', { reason: toNativeError(thrown).message });
    }
  }

  /** The group has moved on meanwhile: for the engine that is a loss, and librdkafka joins again by itself. */
  #assignFailed(partitions: readonly TopicPartition[], thrown: unknown): void {
    const { code, message } = toNativeError(thrown);
    this.#failed(
      new ClientError(`partitions could not be taken over: ${message} (${code})`, { retriable: true, cause: thrown }),
    );
    this.#unassignAll();
    const event: AssignmentEvent = { type: 'lost', partitions };
    this.#open = event;
    this.#news.push(event);
    this.#changed();
  }

  #isLost(): boolean {
    // After a disconnect has begun this call crashes the process.
    return !this.#isLeaving && this.#native.isConnected() && this.#native.assignmentLost();
  }

  #learnProtocol(): void {
    if (this.#isLeaving || !this.#native.isConnected()) return;
    const protocol = this.#native.rebalanceProtocol();
    if (protocol !== 'NONE') this.#isCooperative = protocol === 'COOPERATIVE';
  }
}

function checkSame(option: string, event: readonly TopicPartition[], answer: readonly TopicPartition[]): void {
  const expected = new Set(event.map(nameOf));
  const isSame = answer.length === expected.size && answer.every((partition) => expected.has(nameOf(partition)));
  if (!isSame)
    throw new InvalidOptionError(
      option,
      `exactly ${[...expected].join(', ')}, as the event has it`,
      answer.map(nameOf).join(', '),
    );
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
