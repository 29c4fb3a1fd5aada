import { createHash } from 'node:crypto';

/** 36 bits: that a later topic is taken for one of 500 others happens once in 100 million. */
const FINGERPRINT_LENGTH = 6;
/** Brokers take 4,096 bytes of metadata by default. */
const MAX_TOPICS = 500;

/**
 * What the group looked like when it first committed, written into the metadata of that commit and carried on by every later one.
 * It tells a partition or topic that appeared since (which starts at its beginning) from one that has had no commit yet (which starts
 * as `startFrom` says).
 */
export interface GroupOrigin {
  /** How many partitions the topic had; 0 where that is not known. */
  readonly partitions: number;
  /** The fingerprints of the topics that the group was subscribed to; none where they are not known. */
  readonly topics: ReadonlySet<string>;
}

/** What stands for a topic in an origin: names would not fit. */
export function topicFingerprint(topic: string): string {
  return createHash('sha256').update(topic).digest('base64url').slice(0, FINGERPRINT_LENGTH);
}

/** Of more topics than there is room for it keeps as many as fit, the same in every worker: the others count as later. */
export function formatGroupOrigin({ partitions, topics }: GroupOrigin): string {
  return JSON.stringify({ partitions, topics: [...topics].sort().slice(0, MAX_TOPICS).join('') });
}

/** Undefined for metadata that something else wrote. */
export function parseGroupOrigin(metadata: string | undefined): GroupOrigin | undefined {
  if (metadata === undefined || metadata === '') return undefined;
  try {
    const { partitions, topics } = JSON.parse(metadata) as { partitions?: unknown; topics?: unknown };
    if (!isCount(partitions) || !isFingerprints(topics)) return undefined;
    return { partitions, topics: new Set(topics.match(new RegExp(`.{${FINGERPRINT_LENGTH}}`, 'g'))) };
  } catch {
    return undefined;
  }
}

/** What two origins agree on. They differ where workers saw different topics or partitions at the start. */
export function commonOrigin(one: GroupOrigin, other: GroupOrigin): GroupOrigin {
  return { partitions: Math.min(one.partitions, other.partitions), topics: common(one.topics, other.topics) };
}

function common(some: ReadonlySet<string>, others: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...some].filter((one) => others.has(one)));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isFingerprints(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]*$/.test(value) && value.length % FINGERPRINT_LENGTH === 0;
}
