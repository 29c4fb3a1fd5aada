import {
  nativeCommit,
  nativeOffsets,
  nativePartition,
  nativePartitions,
  nativePosition,
  nativeSubscription,
  nativeTopics,
} from '../confluent/native-arguments.ts';
import { ClientError, CommitError, IllegalStateError, PollError } from '../errors.ts';
import type {
  CommittedOffset,
  ConnectOptions,
  KafkaConsumer,
  KafkaConsumerOptions,
  LogPosition,
  Poll,
  StartOffset,
  Watermarks,
} from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import { checkCount, checkMs } from './cluster-checks.ts';
import { partitionKey } from './fake-kafka-assignor.ts';
import type { FakeConnection } from './fake-kafka-connection.ts';
import { FakeFetcher } from './fake-kafka-fetcher.ts';
import { FakeMember } from './fake-kafka-member.ts';
import type { FakeState } from './fake-kafka-state.ts';
import { FakeWait } from './fake-kafka-wait.ts';

const REQUEST_TIMED_OUT = { kafkaCode: 7, reason: 'the request timed out' };

/** A consumer of the fake cluster. It throws when the engine breaks the port's rules, so that a test sees it. */
export class FakeConsumer implements KafkaConsumer {
  readonly member: FakeMember;
  readonly #state: FakeState;
  readonly #options: KafkaConsumerOptions;
  readonly #connection: FakeConnection;
  readonly #fetcher: FakeFetcher;
  readonly #errors: KafkaWorkerError[] = [];
  #hasReportedOutage = false;
  /** Of the poll under way. */
  #wait: FakeWait | undefined;
  #closing: Promise<void> | undefined;
  readonly #closed: Promise<void>;
  #onClosed: () => void = () => {};

  constructor(connection: FakeConnection, options: KafkaConsumerOptions) {
    const { state } = connection;
    this.#connection = connection;
    this.#state = state;
    this.#options = options;
    this.#fetcher = new FakeFetcher(state.topics);
    const id = state.nextClientName(options.clientId ?? 'consumer');
    this.member = new FakeMember(id, options, () => state.changed());
    this.#closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  get isMember(): boolean {
    const { isKicked, isFenced } = this.member;
    return !isKicked && !isFenced && !this.#connection.isClosed && this.#group.members.includes(this.member);
  }

  connect(options: ConnectOptions): Promise<void> {
    return this.#connection.connect(options);
  }

  subscribe(topics: readonly string[]): void {
    this.#connection.assertConnected('subscribe');
    nativeSubscription('topics', topics);
    this.#group.join(this.member, [...topics]);
  }

  async poll(maxRecords: number, maxWaitMs: number): Promise<Poll> {
    checkCount('maxRecords', maxRecords, 0);
    checkMs('maxWaitMs', maxWaitMs);
    this.#connection.assertConnected('poll');
    if (this.#wait !== undefined) {
      throw new IllegalStateError('fakeKafka: a poll is under way, and two at once reorder records');
    }
    this.#wait = new FakeWait(this.#state, this.#options.clock, maxWaitMs);
    try {
      return await this.#poll(maxRecords, this.#wait);
    } finally {
      this.#wait = undefined;
    }
  }

  wake(): void {
    this.#wait?.end();
  }

  async commit(given: readonly NextOffset[]): Promise<void> {
    const offsets = nativeCommit('offsets', given);
    if (offsets.length === 0) throw new IllegalStateError('fakeKafka: a commit without offsets');
    this.#connection.assertConnected('commit');
    const timedOut = (): KafkaWorkerError =>
      new CommitError(
        offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset, ...REQUEST_TIMED_OUT })),
        { retriable: true },
      );
    await this.#state.request('commit', this.#connection.caller, timedOut, { offsets });
    const failures = this.#group.commit(this.member, offsets);
    await this.#state.request('commit-answer', this.#connection.caller, timedOut, { offsets });
    if (failures.length > 0) throw new CommitError(failures, { retriable: false });
  }

  async committed(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]> {
    nativePartitions('partitions', partitions);
    this.#connection.assertConnected('committed');
    await this.#request('committed');
    // As under read_committed: the client waits for what is stable, and says so when it has waited for too long.
    if (partitions.some((partition) => this.#group.isUnstable(partition)))
      throw new ClientError('a transaction is open that commits some of these offsets', { retriable: true });
    return partitions.map((partition) => this.#group.committed(partition));
  }

  assign(partitions: readonly StartOffset[]): void {
    nativeOffsets('partitions', partitions);
    this.#connection.assertConnected('assign');
    if (!this.#group.assigned(this.member, partitions)) {
      throw new IllegalStateError(`fakeKafka: no assigned event that was polled has exactly ${list(partitions)}`);
    }
    for (const partition of partitions) this.#fetcher.start(partition);
    this.#state.changed();
  }

  release(partitions: readonly TopicPartition[]): void {
    nativePartitions('partitions', partitions);
    this.#connection.assertConnected('release');
    if (!this.#group.released(this.member, partitions)) {
      throw new IllegalStateError(
        `fakeKafka: no revoked or lost event that was polled has exactly ${list(partitions)}`,
      );
    }
    for (const partition of partitions) this.#fetcher.stop(partition);
    this.#state.changed();
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#mustHold('pause', partitions);
    for (const partition of partitions) this.#fetcher.pause(partition);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#mustHold('resume', partitions);
    for (const partition of partitions) this.#fetcher.resume(partition);
    this.#state.changed();
  }

  async seek(partitions: readonly StartOffset[]): Promise<void> {
    nativeOffsets('partitions', partitions);
    this.#mustHold('seek', partitions);
    await this.#state.network.pass('seek', this.#connection.caller);
    for (const partition of partitions) this.#fetcher.seek(partition);
    this.#state.changed();
  }

  watermarks(partition: TopicPartition): Watermarks | undefined {
    nativePartition('partition', partition);
    return this.#fetcher.watermarks(partition);
  }

  async offsetsFor(partitions: readonly TopicPartition[], position: LogPosition): Promise<StartOffset[]> {
    nativePartitions('partitions', partitions);
    nativePosition('position', position);
    this.#connection.assertConnected('offsetsFor');
    await this.#request('offsets-for');
    return partitions.map(({ topic, partition }) => {
      const log = this.#state.topics.log({ topic, partition });
      if (log === undefined) throw new ClientError(`there is no ${topic}/${partition}`, { retriable: true });
      const offset =
        typeof position !== 'string'
          ? log.offsetAt(position.getTime())
          : log[position === 'earliest' ? position : position === 'latest' ? 'stableEnd' : 'latest'];
      return { topic, partition, offset };
    });
  }

  async partitionCounts(topics?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (topics !== undefined) nativeTopics('topics', topics);
    this.#connection.assertConnected('partitionCounts');
    await this.#request('partition-counts');
    const counts = new Map<string, number>();
    for (const topic of topics ?? this.#state.topics.names().filter((name) => !name.startsWith('__'))) {
      const count = this.#state.topics.partitionCount(topic);
      if (count !== undefined) counts.set(topic, count);
    }
    return counts;
  }

  close(options: { readonly leaveGroup?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(this.#options.groupInstanceId === undefined || options.leaveGroup === true);
    return this.#closing;
  }

  /** For a producer of transactions, which commits as this member. */
  get group(): ReturnType<FakeState['group']> {
    this.#connection.assertConnected('sendOffsets');
    return this.#group;
  }

  get #group(): ReturnType<FakeState['group']> {
    return this.#state.group(this.#options.groupId);
  }

  async #close(leavesGroup: boolean): Promise<void> {
    this.#connection.close();
    this.#onClosed();
    this.#wait?.end();
    await this.#state.network.pass('close', this.#connection.caller);
    // A static member says nothing to the group, which keeps its partitions for its return.
    if (leavesGroup) this.#group.leave(this.member);
    else this.#group.leaveQuietly(this.member, this.#options.clock);
  }

  async #poll(maxRecords: number, wait: FakeWait): Promise<Poll> {
    try {
      await Promise.race([this.#state.network.pass('poll', this.#connection.caller), this.#closed]);
    } catch (error) {
      this.#errors.push(error as KafkaWorkerError);
    }
    for (;;) {
      const poll = this.#take(maxRecords);
      const isEmpty = [poll.events, poll.records, poll.positions, poll.errors].every((part) => part.length === 0);
      if (!isEmpty || wait.isOver || this.#connection.isClosed) return poll;
      await wait.forChange();
      await this.#state.network.connected(this.#connection.caller);
    }
  }

  /** What there is right now. */
  #take(maxRecords: number): Poll {
    if (this.#connection.isClosed) return { events: [], records: [], positions: [], errors: [] };
    const events = this.member.read();
    const errors = this.#errors.splice(0);
    if (this.member.isFenced) errors.push(new ClientError('another member uses this groupInstanceId'));
    if (this.#state.network.isDown) {
      if (!this.#hasReportedOutage) errors.push(new PollError('all brokers are down', { retriable: true }));
      this.#hasReportedOutage = true;
      return { events, records: [], positions: [], errors };
    }
    this.#hasReportedOutage = false;
    const fetched = this.#fetcher.fetch(maxRecords, (partition) => this.member.state(partition) === 'assigned');
    return { events, records: fetched.records, positions: fetched.positions, errors: [...errors, ...fetched.errors] };
  }

  async #request(operation: 'committed' | 'offsets-for' | 'partition-counts'): Promise<void> {
    await this.#state.request(
      operation,
      this.#connection.caller,
      () => new ClientError('the request timed out', { retriable: true }),
    );
  }

  #mustHold(call: string, partitions: readonly TopicPartition[]): void {
    nativePartitions('partitions', partitions);
    this.#connection.assertConnected(call);
    for (const partition of partitions) {
      const state = this.member.state(partition);
      if (state === undefined || state === 'offered') {
        throw new IllegalStateError(`fakeKafka: ${call} of ${partitionKey(partition)}, which is not assigned here`);
      }
    }
  }
}

function list(partitions: readonly TopicPartition[]): string {
  return partitions.map(partitionKey).join(', ') || 'no partition';
}
