import { check, has, nonNegative, oneOf, optional, topicName } from './option-checks.ts';
import type { TopicPartition } from './record.ts';

/** Checks of what the methods of a worker are given; each throws `InvalidOptionError` with the name of what is wrong. */
export function checkStart(options: unknown): void {
  checkObject('options', options);
  const { signal } = options as { readonly signal?: unknown };
  optional('signal', signal, () => check('signal', signal, 'an AbortSignal', has('aborted', 'addEventListener')));
}

export function checkStop(options: unknown): void {
  checkObject('options', options);
  const { mode, timeoutMs, leaveGroup } = options as Readonly<Record<string, unknown>>;
  oneOf('mode', mode, ['in-flight', 'drain']);
  if (leaveGroup !== undefined) check('leaveGroup', leaveGroup, 'true or false', (v) => typeof v === 'boolean');
  optional('timeoutMs', timeoutMs, nonNegative);
}

export function checkSeek(partition: unknown, to: unknown): void {
  checkPartition('partition', partition);
  check('to', to, "an offset, 'earliest', 'latest' or a valid Date", isSeekTarget);
}

/** A copy, so that a later change of the list changes nothing here. */
export function checkPartitions(
  partitions: readonly TopicPartition[] | undefined,
): readonly TopicPartition[] | undefined {
  if (partitions === undefined) return undefined;
  check('partitions', partitions, 'an array of { topic, partition }', Array.isArray);
  for (const [i, one] of partitions.entries()) checkPartition(`partitions[${i}]`, one);
  return partitions.map(({ topic, partition }) => ({ topic, partition }));
}

export function checkPartition(name: string, given: unknown): void {
  check(name, given, 'an object with topic and partition', has('topic', 'partition'));
  const { topic, partition } = given as TopicPartition;
  topicName(`${name}.topic`, topic);
  check(`${name}.partition`, partition, 'a whole number, at least 0', isWholeNumber);
}

export function checkObject(name: string, given: unknown): void {
  check(name, given, 'an object', (value) => typeof value === 'object' && value !== null);
}

function isWholeNumber(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSeekTarget(to: unknown): boolean {
  if (to instanceof Date) return !Number.isNaN(to.getTime());
  return to === 'earliest' || to === 'latest' || isWholeNumber(to);
}
