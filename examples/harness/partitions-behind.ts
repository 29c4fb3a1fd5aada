import type { PartitionStatus } from '@kafka-worker/core';

/** What is looked at of a partition's status. */
interface PartitionProgress extends Pick<PartitionStatus, 'partition' | 'nextOffset'> {
  readonly frozen: readonly Pick<PartitionStatus['frozen'][number], 'scope'>[];
}

/** Partitions of `ends` that have not reached their end: those that the worker has not finished, and those that it does not have. */
export function partitionsBehind(
  ends: ReadonlyMap<number, number>,
  owned: readonly PartitionProgress[],
): { readonly here: readonly number[]; readonly elsewhere: readonly number[] } {
  const here: number[] = [];
  const elsewhere = new Set(ends.keys());
  for (const partition of owned) {
    elsewhere.delete(partition.partition);
    const end = ends.get(partition.partition) ?? 0;
    if (partition.nextOffset < end && !isFrozen(partition)) here.push(partition.partition);
  }
  return { here, elsewhere: [...elsewhere] };
}

/** A frozen partition stays where it is until somebody acts: nothing more of it is to be expected. */
function isFrozen({ frozen }: PartitionProgress): boolean {
  return frozen.some(({ scope }) => scope === 'partition');
}
