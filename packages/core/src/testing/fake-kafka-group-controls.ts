import { nativeOffsets, nativePartitions } from '../confluent/native-arguments.ts';
import { IllegalStateError } from '../errors.ts';
import type { CommittedOffset } from '../kafka-client.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import type { FakeMember } from './fake-kafka-member.ts';
import type { FakeState } from './fake-kafka-state.ts';

/**
 * What a test can do to a group. Members are counted in the order in which they joined, from 0; a change is an event of the member's next poll
 * (or of the one under way).
 */
export interface FakeGroupControls {
  /** How many members there are. */
  readonly size: number;
  /** Their `clientId`s. */
  readonly members: readonly (string | undefined)[];
  /** The `clientId` of the member that the group says owns a partition. */
  owner(partition: TopicPartition): string | undefined;
  /** What a member has been given and has not let go. */
  assignment(member?: number): readonly TopicPartition[];
  /** Asks for partitions back. Afterwards nobody gets them until `assign` or `rebalance`. @defaultValue all, of member 0 */
  revoke(partitions?: readonly TopicPartition[], member?: number): void;
  /** Takes partitions away: a commit for them is refused from now on. Afterwards nobody gets them until `assign` or `rebalance`. */
  lose(partitions?: readonly TopicPartition[], member?: number): void;
  /** Gives partitions to a member, once their owner has released them. */
  assign(partitions: readonly TopicPartition[], member?: number): void;
  /** Expels a member as a session timeout does. Others get its partitions at once; it joins again when it has let go of them. */
  kick(member?: number): void;
  /** Gives the assignment back to the group's own rule. */
  rebalance(): void;
  /** The next offset by partition. */
  committed(topic: string): ReadonlyMap<number, number>;
  committedOffset(partition: TopicPartition): CommittedOffset;
  /** Sets committed offsets from outside, as a tool does. */
  setCommitted(offsets: readonly NextOffset[]): void;
  /** Removes a committed offset, as expiry does. */
  forget(partition: TopicPartition): void;
}

/** The controls of one group. */
export function fakeGroupControls(state: FakeState, groupId: string): FakeGroupControls {
  const group = state.group(groupId);
  const memberAt = (index: number): FakeMember => {
    const member = group.members[index];
    if (member === undefined) throw new IllegalStateError(`fakeKafka: group ${groupId} has no member ${index}`);
    return member;
  };
  const owned = (member: FakeMember): TopicPartition[] =>
    member.partitions().filter((partition) => group.owner(partition) === member);
  return {
    get size() {
      return group.members.length;
    },
    get members() {
      return group.members.map(({ clientId }) => clientId);
    },
    owner: (partition) => group.owner(partition)?.clientId,
    assignment: (member = 0) => memberAt(member).partitions(),
    revoke(partitions, member = 0) {
      group.revoke(memberAt(member), partitions ?? owned(memberAt(member)));
    },
    lose(partitions, member = 0) {
      group.lose(memberAt(member), partitions ?? owned(memberAt(member)));
    },
    assign(partitions, member = 0) {
      nativePartitions('partitions', partitions);
      group.give(memberAt(member), partitions);
    },
    kick: (member = 0) => group.kick(memberAt(member)),
    rebalance: () => group.rebalance(),
    committed(topic) {
      const offsets = new Map<number, number>();
      for (const { partition } of state.topics.logs(topic)) {
        const { offset } = group.committed({ topic, partition });
        if (offset !== undefined) offsets.set(partition, offset);
      }
      return offsets;
    },
    committedOffset: (partition) => group.committed(partition),
    setCommitted(offsets) {
      nativeOffsets('offsets', offsets);
      for (const next of offsets) group.setCommitted(next);
    },
    forget: (partition) => group.forget(partition),
  };
}
