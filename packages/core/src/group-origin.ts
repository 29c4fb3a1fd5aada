/**
 * What the group looked like when it first committed, written into the metadata of that commit and carried on by every later one.
 * It tells a partition or topic that appeared since (which starts at its beginning) from one that has had no commit yet (which starts
 * as `startFrom` says).
 */
export interface GroupOrigin {
  /** How many partitions the topic had. */
  readonly partitions: number;
  /** How many topics the group was subscribed to. */
  readonly topics: number;
}

export function formatGroupOrigin(origin: GroupOrigin): string {
  return JSON.stringify({ partitions: origin.partitions, topics: origin.topics });
}

/** Undefined for metadata that something else wrote. */
export function parseGroupOrigin(metadata: string | undefined): GroupOrigin | undefined {
  if (metadata === undefined || metadata === '') return undefined;
  try {
    const { partitions, topics } = JSON.parse(metadata) as { partitions?: unknown; topics?: unknown };
    return isCount(partitions) && isCount(topics) ? { partitions, topics } : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
