import type { TopicPartition } from '../record.ts';

/** How the fake group divides partitions among its members. */
export type FakeAssignor = 'range' | 'round-robin';

/** A partition as the key of a map. */
export function partitionKey(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`;
}

/** Which of the members, in the order in which they joined, each partition should belong to. */
export function targetAssignment<Member extends { readonly topics: readonly string[] }>(
  assignor: FakeAssignor,
  members: readonly Member[],
  partitionCount: (topic: string) => number | undefined,
): Map<string, { readonly partition: TopicPartition; readonly member: Member }> {
  const target = new Map<string, { readonly partition: TopicPartition; readonly member: Member }>();
  const topics = [...new Set(members.flatMap((member) => member.topics))].sort();
  let turn = 0;
  for (const topic of topics) {
    const subscribers = members.filter((member) => member.topics.includes(topic));
    const partitions = partitionCount(topic) ?? 0;
    for (let partition = 0; partition < partitions; partition++) {
      const index =
        assignor === 'range' ? Math.floor((partition * subscribers.length) / partitions) : turn++ % subscribers.length;
      const member = subscribers[index];
      if (member !== undefined)
        target.set(partitionKey({ topic, partition }), { partition: { topic, partition }, member });
    }
  }
  return target;
}
