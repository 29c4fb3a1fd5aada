import {
  checkClientOptions,
  checkMemberOptions,
  checkTransactionalOptions,
} from '../confluent/kafka-client-options.ts';
import { toNativeMessage } from '../confluent/outgoing-message.ts';
import { CommitError, ProduceError } from '../errors.ts';
import type { KafkaCluster } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { OutgoingRecord, OwnedRecord, TopicPartition } from '../record.ts';
import { checkCount, checkInitialTopics, checkMs, checkNewTopic, checkPartitionCount } from './cluster-checks.ts';
import { FakeAdmin } from './fake-kafka-admin.ts';
import type { FakeAssignor } from './fake-kafka-assignor.ts';
import { FakeConnection } from './fake-kafka-connection.ts';
import { FakeConsumer } from './fake-kafka-consumer.ts';
import type { FakeGroupControls } from './fake-kafka-group-controls.ts';
import { fakeGroupControls } from './fake-kafka-group-controls.ts';
import type { FakeCall, FakeHold, FakeOperation } from './fake-kafka-network.ts';
import { FakeProducer } from './fake-kafka-producer.ts';
import { FakeState } from './fake-kafka-state.ts';
import { FakeTransactionalProducer } from './fake-kafka-transactional-producer.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface FakeKafkaOptions {
  /** Topics that exist from the start. */
  readonly topics?: Readonly<Record<string, { readonly partitions: number }>>;
  /** Stamps records. Give the worker the same one. @defaultValue a new VirtualClock */
  readonly clock?: VirtualClock;
  /** How a group divides partitions. @defaultValue 'range' */
  readonly assignor?: FakeAssignor;
  /** How long a request waits for brokers that are down. @defaultValue 30_000 */
  readonly requestTimeoutMs?: number;
  /** How long a group keeps the partitions of a member that has vanished, or of a static one that is away. @defaultValue 45_000 */
  readonly sessionTimeoutMs?: number;
  /** Called at every await of every client, in an order that is the same each time: do there what must happen just then. */
  readonly atAwait?: (call: FakeCall) => void;
}

/** A Kafka cluster in memory, and what a test can do to it. */
export interface FakeKafka extends KafkaCluster {
  readonly clock: VirtualClock;
  createTopic(topic: string, options?: { readonly partitions?: number }): void;
  deleteTopic(topic: string): void;
  /** Adds partitions until the topic has `partitions`. */
  addPartitions(topic: string, partitions: number): void;
  /** Appends messages without a producer. */
  send(messages: Iterable<OutgoingRecord>): readonly OwnedRecord[];
  /** Appends `offsets` offsets that are no records, like a transaction's markers. */
  appendGap(partition: TopicPartition, offsets: number): void;
  /** Removes one record; its offset stays used, like after compaction. */
  compact(partition: TopicPartition, offset: number): void;
  /** Moves the log's start up to `beforeOffset`, like retention. */
  deleteRecords(partition: TopicPartition, beforeOffset: number): void;
  /** A topic's records, partition by partition, as who reads what is committed sees them; also those behind a transaction that is open. */
  records(topic: string): readonly OwnedRecord[];
  /** The group's committed offsets of a topic: the next offset by partition. */
  committed(groupId: string, topic: string): ReadonlyMap<number, number>;
  /** A group, to change what is assigned and committed. */
  group(groupId: string): FakeGroupControls;
  /** Calls of one operation wait from now on, until the hold is released. */
  hold(operation: FakeOperation): FakeHold;
  /** The next `times` calls of one operation fail. Of `poll` the error is reported, as a poll never rejects. */
  fail(operation: FakeOperation, times: number, error: (call: FakeCall) => KafkaWorkerError): void;
  /** The next `times` commits are refused with one of Kafka's error codes. */
  failCommits(times: number, failure: { readonly kafkaCode: number; readonly retriable: boolean }): void;
  /** The next `times` messages are refused. */
  failSends(times: number, failure?: { readonly retriable?: boolean }): void;
  /** No broker answers, until the returned function is called. Membership is not affected. */
  outage(): () => void;
  /**
   * The process whose clients have this `clientId` is gone, without a word: nothing that it has under way takes effect or is answered, and its groups give
   * its partitions to others when its sessions are over.
   */
  crash(clientId: string): void;
}

/**
 * Kafka in memory, for tests: pure, deterministic, in virtual time. It throws where a client of the port breaks the port's rules.
 * Readers see what is committed (`read_committed`), as all consumers here do.
 */
export function fakeKafka(options: FakeKafkaOptions = {}): FakeKafka {
  const clock = options.clock ?? new VirtualClock();
  const requestTimeoutMs = options.requestTimeoutMs ?? 30_000;
  checkMs('requestTimeoutMs', requestTimeoutMs);
  const sessionTimeoutMs = options.sessionTimeoutMs ?? 45_000;
  checkMs('sessionTimeoutMs', sessionTimeoutMs);
  const { assignor = 'range', atAwait } = options;
  const state = new FakeState({ clock, assignor, requestTimeoutMs, sessionTimeoutMs, atAwait });
  const { topics, network } = state;
  const initial = options.topics ?? {};
  checkInitialTopics(initial);
  for (const [topic, { partitions }] of Object.entries(initial)) topics.create(topic, partitions);

  return {
    kind: 'kafka-cluster',
    brokers: state.brokers,
    clock,
    consumer(consumerOptions) {
      checkMemberOptions(consumerOptions);
      return new FakeConsumer(new FakeConnection('consumer', state, consumerOptions), consumerOptions);
    },
    producer(producerOptions) {
      checkClientOptions(producerOptions);
      return new FakeProducer(new FakeConnection('producer', state, producerOptions));
    },
    transactionalProducer(producerOptions) {
      checkTransactionalOptions(producerOptions);
      return new FakeTransactionalProducer(new FakeConnection('producer', state, producerOptions), producerOptions);
    },
    admin(adminOptions) {
      checkClientOptions(adminOptions);
      return new FakeAdmin(new FakeConnection('admin', state, adminOptions));
    },

    createTopic(topic, { partitions = 1 } = {}) {
      checkNewTopic(topic, { partitions });
      topics.create(topic, partitions);
    },
    deleteTopic: (topic) => topics.delete(topic),
    addPartitions(topic, partitions) {
      checkPartitionCount('partitions', partitions);
      topics.grow(topic, partitions);
    },
    send: (messages) =>
      Array.from(messages, (message) => {
        toNativeMessage(message);
        return topics.append(message);
      }),
    appendGap(partition, offsets) {
      checkCount('offsets', offsets, 0);
      topics.change(partition, (log) => log.appendGap(offsets));
    },
    compact: (partition, offset) => topics.change(partition, (log) => log.compact(offset)),
    deleteRecords(partition, beforeOffset) {
      checkCount('beforeOffset', beforeOffset, 0);
      topics.change(partition, (log) => log.deleteBefore(beforeOffset));
    },
    records: (topic) => topics.logs(topic).flatMap((log) => log.records),
    committed: (groupId, topic) => fakeGroupControls(state, groupId).committed(topic),
    group: (groupId) => fakeGroupControls(state, groupId),

    hold: (operation) => network.hold(operation),
    fail: (operation, times, error) => network.fail(operation, times, error),
    failCommits(times, { kafkaCode, retriable }) {
      const reason = 'the test says so';
      network.fail('commit', times, ({ offsets = [] }) => {
        const failures = offsets.map(({ topic, partition, offset }) => ({
          topic,
          partition,
          offset,
          kafkaCode,
          reason,
        }));
        return new CommitError(failures, { retriable });
      });
    },
    failSends(times, { retriable = false } = {}) {
      network.fail(
        'send',
        times,
        ({ message }) => new ProduceError(message?.topic ?? '', 'the test says so', { retriable }),
      );
    },
    outage() {
      network.takeDown();
      state.changed();
      return () => {
        network.bringUp();
        state.changed();
      };
    },
    crash: (clientId) => state.crash(clientId),
  };
}
