import { nativeTopic } from '../confluent/native-arguments.ts';
import { InvalidOptionError } from '../errors.ts';

/** More than any test needs. Clusters in this process make every partition at once, so a number mistyped must not take all memory. */
const MAX_PARTITIONS = 10_000;

/** @throws InvalidOptionError */
export function checkCount(
  option: string,
  count: unknown,
  atLeast: number,
  atMost: number = Number.MAX_SAFE_INTEGER,
): void {
  if (!Number.isSafeInteger(count) || (count as number) < atLeast || (count as number) > atMost) {
    const limit = atMost === Number.MAX_SAFE_INTEGER ? '' : ` to ${atMost}`;
    throw new InvalidOptionError(option, `a whole number from ${atLeast}${limit}`, count);
  }
}

/** @throws InvalidOptionError */
export function checkMs(option: string, ms: unknown): void {
  if (typeof ms !== 'number' || !(ms >= 0 && ms < Number.POSITIVE_INFINITY)) {
    throw new InvalidOptionError(option, 'milliseconds, 0 or more', ms);
  }
}

/** How many partitions a topic of a cluster in this process may have. @throws InvalidOptionError */
export function checkPartitionCount(option: string, partitions: unknown): void {
  checkCount(option, partitions, 1, MAX_PARTITIONS);
}

/** A topic that is to be made. @throws InvalidOptionError */
export function checkNewTopic(topic: unknown, options: unknown): void {
  nativeTopic('topic', topic);
  checkObject('options', options, '{ partitions }');
  checkPartitionCount('options.partitions', (options as { partitions?: unknown }).partitions);
}

/** The topics that a cluster has from the start. @throws InvalidOptionError */
export function checkInitialTopics(topics: unknown): void {
  checkObject('topics', topics, 'an object of { partitions } by topic');
  for (const [topic, options] of Object.entries(topics as object)) {
    const path = `topics[${JSON.stringify(topic)}]`;
    nativeTopic(path, topic);
    checkObject(path, options, '{ partitions }');
    checkPartitionCount(`${path}.partitions`, (options as { partitions?: unknown }).partitions);
  }
}

/** @throws InvalidOptionError */
export function checkObject(option: string, value: unknown, expected: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidOptionError(option, expected, value);
  }
}
