import type { ClientStatistics } from '../client-statistics.ts';
import { ClientError, IllegalStateError, TransactionError } from '../errors.ts';
import type {
  CommittedOffset,
  ConnectOptions,
  KafkaClientOptions,
  KafkaConsumer,
  KafkaConsumerOptions,
  LogPosition,
  Poll,
  StartOffset,
  Watermarks,
} from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { Logger } from '../logger.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import { pauseFor, settledWithin } from './bounded.ts';
import { toNativeError } from './client-errors.ts';
import type { ClientProperties, OAuthBearerToken } from './client-options.ts';
import { Committer } from './committer.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';
import { GroupMember } from './group-member.ts';
import { checkConnectOptions, checkTimeout } from './kafka-client-options.ts';
import { LibrdkafkaReader } from './librdkafka-reader.ts';
import {
  nativeCommit,
  nativeMaxRecords,
  nativeOffsets,
  nativePartition,
  nativePartitions,
  nativeSubscription,
  nativeTopics,
} from './native-arguments.ts';
import { type Done, type NativeConsumer, newNativeAdmin, newNativeConsumer } from './native-client.ts';
import { committedOffsets, logRange, partitionCounts, resolveOffsets } from './offset-queries.ts';
import { Polling, type Take } from './polling.ts';
import { PositionCheck } from './position-check.ts';
import { RawClient } from './raw-client.ts';
import { ReadFailures } from './read-failures.ts';
import { readStatistics } from './read-statistics.ts';
import { type ChosenReader, chooseReader, loadReader, type ReaderPlan } from './reader-plan.ts';
import type { MoveNatively, RecordReader } from './record-reader.ts';
import { withGroup } from './refusals.ts';
import { seekNatively } from './seek.ts';
import { departForGood, needsDeparture } from './static-departure.ts';
import { TwoReaders } from './two-readers.ts';

/** How long `close` waits for a commit that somebody else waits for. */
const COMMITS_MS = 3_000;

/**
 * How long a static member that leaves is left alone before it is disconnected. librdkafka says goodbye only when what it read has stopped and its last
 * question is answered, which nothing tells; and for a static member not at all once it is being disconnected.
 */
const FAREWELL_MS = 200;

/** Kafka's code for a member that its group does not know. */
const UNKNOWN_MEMBER_ID = 25;

/** What a consumer is made with. */
export interface ConfluentConsumerOptions {
  readonly brokers: readonly string[];
  readonly properties: ClientProperties;
  readonly token: (() => Promise<OAuthBearerToken>) | undefined;
  readonly isStaticMember: boolean;
  /** It came only to leave in the place of another one, and is followed by nobody. */
  readonly isSuccessor?: boolean;
  readonly plan: ReaderPlan;
  /** Other codecs, in tests. */
  readonly loadLibrary?: () => Promise<DirectLibrary>;
  readonly logger: Logger;
  readonly statistics?: KafkaClientOptions['statistics'];
  readonly reading?: KafkaConsumerOptions['reading'];
}

/** The port's consumer on librdkafka: the group's member (control side) and the reader of its records (data side) behind one `poll`. */
export class ConfluentConsumer implements KafkaConsumer {
  readonly #options: ConfluentConsumerOptions;
  readonly #raw: RawClient<NativeConsumer>;
  /** Turns librdkafka's queue; another reader is put in front of it once somebody has been chosen. */
  #librdkafka: LibrdkafkaReader | undefined;
  #reader: RecordReader | undefined;
  #member: GroupMember | undefined;
  #committer: Committer | undefined;
  #check: PositionCheck | undefined;
  #failures: ReadFailures | undefined;
  #topics: readonly string[] = [];
  readonly #polling = new Polling((maxRecords) => this.#take(maxRecords));
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: ConfluentConsumerOptions) {
    this.#options = options;
    const { brokers, properties, token, logger } = options;
    const report = (error: KafkaWorkerError): void => this.#report(error);
    const statistics = (text: string): void => options.statistics?.(() => this.#statistics(text));
    const rawOptions = { brokers, properties, token, logger, report, statistics, newAdmin: newNativeAdmin };
    this.#raw = new RawClient(rawOptions, (callbacks) =>
      newNativeConsumer(properties, {
        ...callbacks,
        rebalance_cb: (error: unknown, partitions: TopicPartition[]) =>
          this.#member?.rebalance(toNativeError(error).code, partitions),
        offset_commit_cb: (error: unknown, offsets: NextOffset[]) => this.#committer?.acknowledged(error, offsets),
        queue_non_empty_cb: () => this.#librdkafka?.signal(),
      }),
    );
  }

  get isMember(): boolean {
    return this.#closed === undefined && this.#member?.isMember === true;
  }

  async connect(options: ConnectOptions): Promise<void> {
    const checked = checkConnectOptions(options);
    const loaded = await loadReader(this.#options.plan, this.#options.loadLibrary ?? loadDirectLibrary);
    await this.#raw.connect(
      checked,
      () => this.#start(),
      () => this.#stop(),
    );
    const { signal = this.#closing.signal } = checked;
    this.#read(await chooseReader(loaded, AbortSignal.any([signal, this.#closing.signal])));
  }

  subscribe(topics: readonly string[]): void {
    const names = nativeSubscription('topics', topics);
    // Without it nobody would answer what the group says, and closing would wait for that for ever.
    const member = this.#connected(this.#member);
    try {
      this.#raw.native.subscribe(names);
    } catch (thrown) {
      const { code, message } = toNativeError(thrown);
      throw new ClientError(`topics cannot be subscribed: ${message} (${code})`, { cause: thrown });
    }
    this.#topics = names;
    member.subscribed();
    this.#librdkafka?.hurry();
  }

  async poll(maxRecords: number, maxWaitMs: number): Promise<Poll> {
    if (this.#closed !== undefined) throw new IllegalStateError('the consumer is closed');
    return this.#polling.poll(nativeMaxRecords('maxRecords', maxRecords), checkTimeout('maxWaitMs', maxWaitMs));
  }

  wake(): void {
    this.#polling.wake();
  }

  async commit(offsets: readonly NextOffset[]): Promise<void> {
    const checked = nativeCommit('offsets', offsets);
    await this.#connected(this.#committer).commit(checked);
  }

  async committed(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]> {
    return committedOffsets(this.#raw, nativePartitions('partitions', partitions), this.#groupId);
  }

  assign(partitions: readonly StartOffset[]): void {
    const starts = nativeOffsets('partitions', partitions);
    this.#connected(this.#member).assign(starts);
    this.#check?.forget(starts);
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#connected(this.#member).release(nativePartitions('partitions', partitions));
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#connected(this.#reader).pause(nativePartitions('partitions', partitions));
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#connected(this.#reader).resume(nativePartitions('partitions', partitions));
  }

  async seek(partitions: readonly StartOffset[]): Promise<void> {
    const starts = nativeOffsets('partitions', partitions);
    const reader = this.#connected(this.#reader);
    for (const { topic, partition } of starts) {
      const owned = Array.from(reader.owned).find((one) => one.topic === topic && one.partition === partition);
      if (owned === undefined || owned.isWithheld)
        throw new IllegalStateError(`${topic}/${partition} is not assigned to this member`);
    }
    await reader.seek(starts, this.#moveNatively);
    this.#check?.forget(starts);
  }

  watermarks(partition: TopicPartition): Watermarks | undefined {
    const checked = nativePartition('partition', partition);
    return this.#raw.isUsable ? this.#reader?.watermarks(checked) : undefined;
  }

  async offsetsFor(partitions: readonly TopicPartition[], position: LogPosition): Promise<StartOffset[]> {
    return resolveOffsets(this.#raw, nativePartitions('partitions', partitions), position);
  }

  async partitionCounts(topics?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return partitionCounts(this.#raw, topics === undefined ? undefined : nativeTopics('topics', topics));
  }

  /**
   * Makes a native call that says who the member is, by this consumer's handle, which stays until it has answered. A client that has just been expelled
   * says that it is nobody, and brokers take offsets from nobody for any group: so it is looked at before whether it is a member, and afterwards
   * whether it has been all the time.
   * @throws IllegalStateError when it is not connected, or is closing
   * @throws TransactionError
   */
  async asMember(what: string, timeoutMs: number, run: (native: NativeConsumer, done: Done) => void): Promise<void> {
    const member = this.#connected(this.#member);
    const before = member.membership;
    if (before !== undefined) await this.#raw.call<void>(what, timeoutMs, run);
    if (before !== undefined && member.membership === before) return;
    const kafkaCode = UNKNOWN_MEMBER_ID;
    throw new TransactionError(
      'abortable',
      `${what}: this consumer is no member of ${this.#groupId}, or was not all the time`,
      {
        kafkaCode,
      },
    );
  }

  close(options: { readonly leaveGroup?: boolean } = {}): Promise<void> {
    this.#closing.abort();
    this.#closed ??= this.#close(!this.#options.isStaticMember || options.leaveGroup === true);
    return this.#closed;
  }

  /** librdkafka's default. */
  get #isReadCommitted(): boolean {
    return this.#options.properties['isolation.level'] !== 'read_uncommitted';
  }

  get #groupId(): string {
    return String(this.#options.properties['group.id']);
  }

  async #close(leavesGroup: boolean): Promise<void> {
    this.#polling.end();
    this.#check?.stop();
    if (this.#committer !== undefined) await settledWithin(this.#committer.close(), COMMITS_MS);
    // A failed connect has disconnected already: then nothing native may be called any more.
    const { properties, logger, isStaticMember, isSuccessor = false } = this.#options;
    const isLeavingStatic = isStaticMember && leavesGroup && this.#raw.isUsable && this.#topics.length > 0;
    const wasMember = this.#member?.wasTold === true;
    if (this.#raw.isUsable) await this.#member?.leave(leavesGroup ? 'leave-group' : 'keep-membership');
    if (isLeavingStatic) await pauseFor(FAREWELL_MS);
    await this.#stop();
    await this.#raw.disconnect((native, done) => {
      this.#member?.disconnecting();
      native.disconnect(() => {
        this.#member?.disconnected();
        done();
      });
    });
    if (isLeavingStatic && !isSuccessor && needsDeparture(properties, wasMember)) {
      const consumer = (other: ClientProperties): ConfluentConsumer =>
        new ConfluentConsumer({
          ...this.#options,
          ...{ properties: other, isSuccessor: true, plan: { reader: 'librdkafka', why: 'it reads nothing' } },
        });
      await departForGood({ properties, topics: this.#topics, logger, consumer });
    }
  }

  async #stop(): Promise<void> {
    this.#check?.stop();
    await (this.#reader ?? this.#librdkafka)?.stop();
  }

  #start(): void {
    // Closing may have begun between the birth of the native handle and now: what is started here would be nobody's to stop.
    if (this.#closed !== undefined) throw new IllegalStateError('closed while connecting');
    const { native } = this.#raw;
    const changed = (): void => this.#polling.changed();
    const report = (error: KafkaWorkerError): void => this.#report(error);
    const failed: ReadFailures['failed'] = (...failure) => this.#failures?.failed(...failure);
    const librdkafka = new LibrdkafkaReader(native, { changed, failed }, this.#isReadCommitted);
    this.#librdkafka = librdkafka;
    this.#check = new PositionCheck(this.#raw, librdkafka, report, (start) => this.#member?.restart(start));
    this.#committer = new Committer(
      (offsets) => this.#raw.native.commit(offsets),
      () => librdkafka.hurry(),
      this.#groupId,
    );
    const owned = (): RecordReader['owned'] => (this.#reader ?? librdkafka).owned;
    this.#failures = new ReadFailures({
      ...{ raw: this.#raw, owned, check: this.#check, brokers: this.#options.brokers, groupId: this.#groupId },
      ...{ topics: () => this.#topics, report },
    });
    librdkafka.start();
  }

  /** From now on partitions may be assigned. */
  #read(chosen: ChosenReader): void {
    const { brokers, logger, properties } = this.#options;
    const reader = this.#newReader(chosen, this.#connected(this.#librdkafka));
    this.#reader = reader;
    const changed = (): void => this.#polling.changed();
    const memberEvents = { changed, failed: (error: KafkaWorkerError): void => this.#report(error) };
    this.#member = new GroupMember(
      this.#raw.native,
      reader,
      logger,
      memberEvents,
      String(properties['group.protocol']),
    );
    const { why } = chosen;
    logger.info('kafka consumer starts', { brokers, reader: chosen.reader, why });
    this.#options.reading?.({ reader: chosen.reader, why });
  }

  #newReader(chosen: ChosenReader, librdkafka: LibrdkafkaReader): RecordReader {
    if (chosen.reader === 'librdkafka') return librdkafka;
    const { options, library } = chosen;
    return new TwoReaders({
      ...{ native: this.#raw.native, librdkafka, library, options, logger: this.#options.logger },
      moveNatively: this.#moveNatively,
      changed: () => this.#polling.changed(),
      report: (error) => this.#report(error),
      rangeOf: (partition) => logRange(this.#raw, partition),
    });
  }

  readonly #moveNatively: MoveNatively = (starts) =>
    seekNatively(this.#raw, starts, (start) => this.#connected(this.#member).restart(start));

  #statistics(text: string): ClientStatistics {
    const statistics = readStatistics('consumer', text);
    return this.#reader?.statistics(statistics) ?? statistics;
  }

  #take(maxRecords: number): ReturnType<Take> {
    if (this.#reader === undefined || this.#member === undefined) return { events: [], records: [], positions: [] };
    // First: from now on nothing is read of partitions that an event takes away.
    const events = this.#member.takeEvents();
    return { events, ...this.#reader.take(maxRecords) };
  }

  #report(error: KafkaWorkerError): void {
    if (this.#closed === undefined) this.#polling.report(withGroup(error, this.#groupId));
  }

  #connected<T>(part: T | undefined): T {
    if (this.#closed !== undefined || part === undefined || !this.#raw.isUsable) {
      throw new IllegalStateError(
        this.#closed === undefined ? 'the consumer is not connected' : 'the consumer is closed',
      );
    }
    return part;
  }
}
