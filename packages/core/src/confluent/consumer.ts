import type { ClientStatistics } from '../client-statistics.ts';
import { ClientError, IllegalStateError } from '../errors.ts';
import type {
  CommittedOffset,
  ConnectOptions,
  KafkaConsumer,
  LogPosition,
  Poll,
  StartOffset,
  Watermarks,
} from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import { asMember } from './as-member.ts';
import { pauseFor, settledWithin } from './bounded.ts';
import { toNativeError } from './client-errors.ts';
import type { ClientProperties } from './client-options.ts';
import type { ConfluentConsumerOptions } from './consumer-options.ts';
import { ConsumerPlanes } from './consumer-planes.ts';
import { loadDirectLibrary } from './direct/direct-library.ts';
import { checkConnectOptions, checkTimeout } from './kafka-client-options.ts';
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
import { committedOffsets, partitionCounts, resolveOffsets } from './offset-queries.ts';
import { Polling, type Take } from './polling.ts';
import { RawClient } from './raw-client.ts';
import { readStatistics } from './read-statistics.ts';
import { chooseReader, loadReader } from './reader-plan.ts';
import type { MoveNatively } from './record-reader.ts';
import { withGroup } from './refusals.ts';
import { seekNatively } from './seek.ts';
import { departForGood, needsDeparture } from './static-departure.ts';

/** How long `close` waits for a commit that somebody else waits for. */
const COMMITS_MS = 3_000;

/**
 * How long a static member that leaves is left alone before it is disconnected. librdkafka says goodbye only when what it read has stopped and its last
 * question is answered, which nothing tells; and for a static member not at all once it is being disconnected.
 */
const FAREWELL_MS = 200;

/** The port's consumer on librdkafka: the group's member (control side) and the reader of its records (data side) behind one `poll`. */
export class ConfluentConsumer implements KafkaConsumer {
  readonly #options: ConfluentConsumerOptions;
  readonly #groupId: string;
  readonly #raw: RawClient<NativeConsumer>;
  /** From the native client's start on. */
  #planes: ConsumerPlanes | undefined;
  #topics: readonly string[] = [];
  readonly #polling = new Polling((maxRecords) => this.#take(maxRecords));
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: ConfluentConsumerOptions) {
    this.#options = options;
    const { brokers, properties, token, logger } = options;
    this.#groupId = String(properties['group.id']);
    const statistics = (text: string): void => options.statistics?.(() => this.#statistics(text));
    const events = { report: this.#report, statistics };
    const rawOptions = { brokers, properties, token, logger, ...events, newAdmin: newNativeAdmin };
    this.#raw = new RawClient(rawOptions, (callbacks) =>
      newNativeConsumer(properties, {
        ...callbacks,
        rebalance_cb: (error: unknown, partitions: TopicPartition[]) =>
          this.#planes?.member?.rebalance(toNativeError(error).code, partitions),
        offset_commit_cb: (error: unknown, offsets: NextOffset[]) =>
          this.#planes?.committer.acknowledged(error, offsets),
        queue_non_empty_cb: () => this.#planes?.librdkafka.signal(),
      }),
    );
  }

  get isMember(): boolean {
    return this.#closed === undefined && this.#planes?.member?.isMember === true;
  }

  async connect(options: ConnectOptions): Promise<void> {
    const checked = checkConnectOptions(options);
    const loaded = await loadReader(this.#options.plan, this.#options.loadLibrary ?? loadDirectLibrary);
    await this.#raw.connect(
      checked,
      () => this.#start(),
      async () => this.#planes?.stop(),
    );
    const { signal = this.#closing.signal } = checked;
    const chosen = await chooseReader(loaded, AbortSignal.any([signal, this.#closing.signal]));
    this.#connected(this.#planes).read(chosen);
  }

  subscribe(topics: readonly string[]): void {
    const names = nativeSubscription('topics', topics);
    // Without it nobody would answer what the group says, and closing would wait for that for ever.
    const member = this.#connected(this.#planes?.member);
    try {
      this.#raw.native.subscribe(names);
    } catch (thrown) {
      const { code, message } = toNativeError(thrown);
      throw new ClientError(`topics cannot be subscribed: ${message} (${code})`, { cause: thrown });
    }
    this.#topics = names;
    member.subscribed();
    this.#planes?.librdkafka.hurry();
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
    await this.#connected(this.#planes?.committer).commit(checked);
  }

  async committed(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]> {
    return committedOffsets(this.#raw, nativePartitions('partitions', partitions), this.#groupId);
  }

  assign(partitions: readonly StartOffset[]): void {
    const starts = nativeOffsets('partitions', partitions);
    this.#connected(this.#planes?.member).assign(starts);
    this.#planes?.check.forget(starts);
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#connected(this.#planes?.member).release(nativePartitions('partitions', partitions));
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#connected(this.#planes?.reader).pause(nativePartitions('partitions', partitions));
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#connected(this.#planes?.reader).resume(nativePartitions('partitions', partitions));
  }

  async seek(partitions: readonly StartOffset[]): Promise<void> {
    const starts = nativeOffsets('partitions', partitions);
    const reader = this.#connected(this.#planes?.reader);
    for (const { topic, partition } of starts) {
      const owned = Array.from(reader.owned).find((one) => one.topic === topic && one.partition === partition);
      if (owned === undefined || owned.isWithheld)
        throw new IllegalStateError(`${topic}/${partition} is not assigned to this member`);
    }
    await reader.seek(starts, this.#moveNatively);
    this.#planes?.check.forget(starts);
  }

  watermarks(partition: TopicPartition): Watermarks | undefined {
    const checked = nativePartition('partition', partition);
    return this.#raw.isUsable ? this.#planes?.reader?.watermarks(checked) : undefined;
  }

  async offsetsFor(partitions: readonly TopicPartition[], position: LogPosition): Promise<StartOffset[]> {
    return resolveOffsets(this.#raw, nativePartitions('partitions', partitions), position);
  }

  async partitionCounts(topics?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return partitionCounts(this.#raw, topics === undefined ? undefined : nativeTopics('topics', topics));
  }

  /** A native call that says who the member is. @throws IllegalStateError when it is not connected, or is closing @throws TransactionError */
  async asMember(what: string, timeoutMs: number, run: (native: NativeConsumer, done: Done) => void): Promise<void> {
    await asMember(this.#connected(this.#planes?.member), this.#raw, this.#groupId, { what, timeoutMs, run });
  }

  close(options: { readonly leaveGroup?: boolean } = {}): Promise<void> {
    this.#closing.abort();
    this.#closed ??= this.#close(!this.#options.isStaticMember || options.leaveGroup === true);
    return this.#closed;
  }

  async #close(leavesGroup: boolean): Promise<void> {
    this.#polling.end();
    this.#planes?.check.stop();
    if (this.#planes !== undefined) await settledWithin(this.#planes.committer.close(), COMMITS_MS);
    // A failed connect has disconnected already: then nothing native may be called any more.
    const { properties, logger, isStaticMember, isSuccessor = false } = this.#options;
    const isLeavingStatic = isStaticMember && leavesGroup && this.#raw.isUsable && this.#topics.length > 0;
    const wasMember = this.#planes?.member?.wasTold === true;
    if (this.#raw.isUsable) await this.#planes?.member?.leave(leavesGroup ? 'leave-group' : 'keep-membership');
    if (isLeavingStatic) await pauseFor(FAREWELL_MS);
    await this.#planes?.stop();
    await this.#raw.disconnect((native, done) => {
      this.#planes?.member?.disconnecting();
      native.disconnect(() => {
        this.#planes?.member?.disconnected();
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

  #start(): void {
    // Closing may have begun between the birth of the native handle and now: what is started here would be nobody's to stop.
    if (this.#closed !== undefined) throw new IllegalStateError('closed while connecting');
    this.#planes = new ConsumerPlanes({
      ...{ raw: this.#raw, options: this.#options, groupId: this.#groupId, moveNatively: this.#moveNatively },
      ...{ topics: () => this.#topics, changed: () => this.#polling.changed(), report: this.#report },
    });
    this.#planes.start();
  }

  readonly #moveNatively: MoveNatively = (starts) =>
    seekNatively(this.#raw, starts, (start) => this.#connected(this.#planes?.member).restart(start));

  #statistics(text: string): ClientStatistics {
    const statistics = readStatistics('consumer', text);
    return this.#planes?.reader?.statistics(statistics) ?? statistics;
  }

  #take(maxRecords: number): ReturnType<Take> {
    const { reader, member } = this.#planes ?? {};
    if (reader === undefined || member === undefined) return { events: [], records: [], positions: [] };
    // First: from now on nothing is read of partitions that an event takes away.
    const events = member.takeEvents();
    return { events, ...reader.take(maxRecords) };
  }

  readonly #report = (error: KafkaWorkerError): void => {
    if (this.#closed === undefined) this.#polling.report(withGroup(error, this.#groupId));
  };

  #connected<T>(part: T | undefined): T {
    if (this.#closed !== undefined) throw new IllegalStateError('the consumer is closed');
    if (part === undefined || !this.#raw.isUsable) throw new IllegalStateError('the consumer is not connected');
    return part;
  }
}
