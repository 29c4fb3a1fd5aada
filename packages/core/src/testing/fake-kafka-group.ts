import type { Clock } from '../clock.ts';
import type { CommitFailure } from '../errors.ts';
import { IllegalStateError } from '../errors.ts';
import type { CommittedOffset } from '../kafka-client.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import type { FakeAssignor } from './fake-kafka-assignor.ts';
import { partitionKey, targetAssignment } from './fake-kafka-assignor.ts';
import type { FakeMember } from './fake-kafka-member.ts';
import type { FakeTopics } from './fake-kafka-topics.ts';

const ILLEGAL_GENERATION = { kafkaCode: 22, reason: 'the partition is no longer assigned to this member' };
const UNKNOWN_MEMBER = { kafkaCode: 25, reason: 'the group does not know this member' };
const UNKNOWN_PARTITION = { kafkaCode: 3, reason: 'unknown topic or partition' };
const FENCED_INSTANCE = { kafkaCode: 82, reason: 'another member uses this groupInstanceId' };

/**
 * The broker's side of a consumer group: who is a member, who owns which partition, what is committed.
 * Assignment is cooperative: a partition is offered to its new owner only after the old one has released (or lost) it.
 */
export class FakeGroup {
  readonly groupId: string;
  readonly #topics: FakeTopics;
  readonly #assignor: FakeAssignor;
  readonly #sessionTimeoutMs: number;
  /** In the order in which they joined. */
  readonly #members: FakeMember[] = [];
  readonly #owners = new Map<string, FakeMember>();
  /** Where a test has taken the assignment into its own hands: a member, or nobody. */
  readonly #pinned = new Map<string, FakeMember | undefined>();
  readonly #offsets = new Map<string, NextOffset>();
  /** Offsets of transactions that are open. */
  readonly #pending = new Map<object, Map<string, NextOffset>>();

  constructor(
    groupId: string,
    topics: FakeTopics,
    options: { readonly assignor: FakeAssignor; readonly sessionTimeoutMs: number },
  ) {
    this.groupId = groupId;
    this.#topics = topics;
    this.#assignor = options.assignor;
    this.#sessionTimeoutMs = options.sessionTimeoutMs;
  }

  get members(): readonly FakeMember[] {
    return this.#members;
  }

  owner(partition: TopicPartition): FakeMember | undefined {
    return this.#owners.get(partitionKey(partition));
  }

  /** A member joins or changes what it subscribes to. One without topics keeps nothing. */
  join(member: FakeMember, topics: readonly string[]): void {
    member.topics = topics;
    if (!this.#members.includes(member)) this.#admit(member);
    this.reconcile();
  }

  leave(member: FakeMember): void {
    const index = this.#members.indexOf(member);
    if (index >= 0) this.#members.splice(index, 1);
    this.#disown(member, member.partitions());
    member.clear();
    for (const [key, pinned] of this.#pinned) if (pinned === member) this.#pinned.delete(key);
    this.reconcile();
  }

  /** A member is gone without a word, as a static one that disconnects: its partitions wait for it until its session is over. */
  leaveQuietly(member: FakeMember, clock: Clock): void {
    clock.setTimeout(() => this.leave(member), this.#sessionTimeoutMs);
  }

  /** Moves the group towards its target: first revokes, then offers what nobody owns. A member that owes an answer waits. */
  reconcile(): void {
    const target = this.#target();
    for (const member of this.#members) {
      if (member.hasUnanswered) continue;
      const surplus = member.partitions().filter((partition) => target.get(partitionKey(partition))?.member !== member);
      member.emit('revoked', surplus);
    }
    const offers = new Map<FakeMember, TopicPartition[]>();
    for (const [key, { partition, member }] of target) {
      if (member.hasUnanswered || this.#owners.has(key) || member.state(partition) !== undefined) continue;
      offers.set(member, [...(offers.get(member) ?? []), partition]);
    }
    for (const [member, partitions] of offers) this.#offer(member, partitions);
  }

  assigned(member: FakeMember, partitions: readonly TopicPartition[]): boolean {
    if (!member.assign(partitions)) return false;
    // What was taken away while it was on offer is lost now; before, there was nothing that could be lost.
    member.emit(
      'lost',
      partitions.filter((partition) => this.owner(partition) !== member),
    );
    this.reconcile();
    return true;
  }

  released(member: FakeMember, partitions: readonly TopicPartition[]): boolean {
    if (!member.release(partitions)) return false;
    this.#disown(member, partitions);
    if (member.isKicked && member.partitions().length === 0) member.isKicked = false;
    this.reconcile();
    return true;
  }

  /** Asks a member for partitions back; afterwards nobody owns them until a test says so. */
  revoke(member: FakeMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#pin(member, partition, undefined);
    member.emit('revoked', partitions);
  }

  /** Takes partitions away from a member at once; afterwards nobody owns them until a test says so. */
  lose(member: FakeMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#pin(member, partition, undefined);
    this.#disown(member, partitions);
    member.emit('lost', partitions);
  }

  /** Gives partitions to a member as soon as their owner has released them. */
  give(member: FakeMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      if (this.#topics.log(partition) === undefined)
        throw new IllegalStateError(`fakeKafka: there is no ${partitionKey(partition)}`);
      this.#pinned.set(partitionKey(partition), member);
      const owner = this.owner(partition);
      if (owner !== undefined && owner !== member) owner.emit('revoked', [partition]);
    }
    this.#offer(
      member,
      partitions.filter((partition) => this.owner(partition) === undefined && member.state(partition) === undefined),
    );
  }

  /** Expels a member, as a session timeout does: others get its partitions at once, and it joins again when it has let go of them. */
  kick(member: FakeMember): void {
    member.isKicked = member.partitions().length > 0;
    const partitions = member.partitions();
    this.#disown(member, partitions);
    member.emit('lost', partitions);
    this.reconcile();
  }

  /** Gives the assignment back to the group's own rule. */
  rebalance(): void {
    this.#pinned.clear();
    this.reconcile();
  }

  /** Stores offsets; answers the ones that are refused. */
  commit(member: FakeMember, offsets: readonly NextOffset[]): CommitFailure[] {
    const failures: CommitFailure[] = [];
    for (const next of offsets) {
      const { topic, partition, offset } = next;
      const refusal = this.#refusal(member, next);
      if (refusal === undefined) this.#offsets.set(partitionKey(next), next);
      else failures.push({ topic, partition, offset, ...refusal });
    }
    return failures;
  }

  /**
   * Notes offsets of a transaction, all or none. As a broker does, it looks at who the member is and whether its generation is the last one, not at who
   * owns a partition: a member that has let go of one, and is up to date, may commit for it.
   */
  addToTransaction(
    transaction: object,
    member: FakeMember,
    offsets: readonly NextOffset[],
    generation: number,
  ): CommitFailure[] {
    const isMember = this.#members.includes(member) && !member.isKicked;
    const isCurrent = generation === member.generation;
    const failures = offsets.flatMap((next) => {
      const unknown = isMember ? undefined : UNKNOWN_MEMBER;
      const refusal = this.#refusal(member, next) ?? unknown ?? (isCurrent ? undefined : ILLEGAL_GENERATION);
      const isUpToDate = refusal === ILLEGAL_GENERATION && isCurrent && member.state(next) === undefined;
      const { topic, partition, offset } = next;
      return refusal === undefined || isUpToDate ? [] : [{ topic, partition, offset, ...refusal }];
    });
    if (failures.length > 0) return failures;
    const pending = this.#pending.get(transaction) ?? new Map<string, NextOffset>();
    for (const next of offsets) pending.set(partitionKey(next), next);
    this.#pending.set(transaction, pending);
    return [];
  }

  endTransaction(transaction: object, how: 'commit' | 'abort'): void {
    if (how === 'commit') for (const [key, next] of this.#pending.get(transaction) ?? []) this.#offsets.set(key, next);
    this.#pending.delete(transaction);
  }

  /** Whether a transaction that is open is about to commit an offset of it. */
  isUnstable(partition: TopicPartition): boolean {
    return [...this.#pending.values()].some((pending) => pending.has(partitionKey(partition)));
  }

  committed(partition: TopicPartition): CommittedOffset {
    const stored = this.#offsets.get(partitionKey(partition));
    return {
      topic: partition.topic,
      partition: partition.partition,
      offset: stored?.offset,
      // No metadata and empty metadata are the same to Kafka.
      metadata: stored?.metadata === '' ? undefined : stored?.metadata,
      ...(stored?.leaderEpoch === undefined ? {} : { leaderEpoch: stored.leaderEpoch }),
    };
  }

  /** Removes a partition's committed offset, as expiry does. */
  forget(partition: TopicPartition): void {
    this.#offsets.delete(partitionKey(partition));
  }

  /** Sets an offset without being a member, as a tool does. */
  setCommitted(next: NextOffset): void {
    this.#offsets.set(partitionKey(next), next);
  }

  /** A static member takes the place of the one that had its name; that one, if it still runs, is fenced off. */
  #admit(member: FakeMember): void {
    const index = this.#members.findIndex(
      (other) => member.instanceId !== undefined && other.instanceId === member.instanceId,
    );
    const former = this.#members[index];
    if (former === undefined) {
      this.#members.push(member);
      return;
    }
    this.#members[index] = member;
    former.isFenced = true;
    this.#disown(former, former.partitions());
    former.emit('lost', former.partitions());
  }

  #refusal(member: FakeMember, next: NextOffset): { kafkaCode: number; reason: string } | undefined {
    if (this.#topics.log(next) === undefined) return UNKNOWN_PARTITION;
    if (member.isFenced) return FENCED_INSTANCE;
    const isMember = this.#members.includes(member) && !member.isKicked;
    // A consumer outside of the group may commit for a group that has no members.
    if (!isMember) return this.#members.length === 0 ? undefined : UNKNOWN_MEMBER;
    return this.owner(next) === member ? undefined : ILLEGAL_GENERATION;
  }

  #target(): ReturnType<typeof targetAssignment<FakeMember>> {
    const joined = this.#members.filter((member) => !member.isKicked);
    const target = targetAssignment(this.#assignor, joined, (topic) => this.#topics.partitionCount(topic));
    for (const [key, member] of this.#pinned) {
      const partition = target.get(key)?.partition;
      if (member !== undefined && partition !== undefined) target.set(key, { partition, member });
      else target.delete(key);
    }
    return target;
  }

  #offer(member: FakeMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#owners.set(partitionKey(partition), member);
    member.emit('assigned', partitions);
  }

  #disown(member: FakeMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      if (this.owner(partition) === member) this.#owners.delete(partitionKey(partition));
    }
  }

  #pin(member: FakeMember, partition: TopicPartition, to: FakeMember | undefined): void {
    if (this.owner(partition) !== member) {
      throw new IllegalStateError(`fakeKafka: ${partitionKey(partition)} does not belong to member ${member.id}`);
    }
    this.#pinned.set(partitionKey(partition), to);
  }
}
