import { types } from 'node:util';
import { InvalidOptionError } from '../errors.ts';
import type { LogPosition, StartOffset } from '../kafka-client.ts';
import type { NextOffset, TopicPartition } from '../record.ts';

/**
 * The native client reads its arguments blindly: a partition that is missing or a string crashes the process, an offset that is a
 * string or a bigint becomes 0. So nothing reaches it that has not been through here.
 */

/** The broker's default for `offset.metadata.max.bytes`. */
const METADATA_MAX_BYTES = 4096;

const MAX_PARTITION = 2 ** 31 - 1;

/** Kafka's own rule: no topic can have another name. */
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/;

/** @throws InvalidOptionError */
export function nativePartitions(option: string, partitions: readonly TopicPartition[]): TopicPartition[] {
  return list(option, partitions).map((value, i) => nativePartition(`${option}[${i}]`, value));
}

/** @throws InvalidOptionError */
export function nativePartition(option: string, value: unknown): TopicPartition {
  if (typeof value !== 'object' || value === null) throw new InvalidOptionError(option, '{ topic, partition }', value);
  const { topic, partition } = value as { topic?: unknown; partition?: unknown };
  return {
    topic: nativeTopic(`${option}.topic`, topic),
    partition: nativePartitionNumber(`${option}.partition`, partition),
  };
}

/** @throws InvalidOptionError */
export function nativeTopic(option: string, value: unknown): string {
  if (typeof value !== 'string' || !TOPIC.test(value) || value === '.' || value === '..') {
    throw new InvalidOptionError(option, 'a topic name (1 to 249 of A-Z a-z 0-9 . _ -)', value);
  }
  return value;
}

/** @throws InvalidOptionError */
export function nativeTopics(option: string, topics: readonly string[]): string[] {
  return list(option, topics).map((topic, i) => nativeTopic(`${option}[${i}]`, topic));
}

/** What is to be subscribed: to leave a group there is `close`. @throws InvalidOptionError */
export function nativeSubscription(option: string, topics: readonly string[]): string[] {
  const names = nativeTopics(option, topics);
  if (names.length === 0) throw new InvalidOptionError(option, 'at least one topic', topics);
  return names;
}

/** For a topic that is to be made. @throws InvalidOptionError */
export function nativePartitionCount(option: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > MAX_PARTITION) {
    throw new InvalidOptionError(option, 'a whole number, at least 1', value);
  }
  return value as number;
}

/** For a poll; 0 for none. @throws InvalidOptionError */
export function nativeMaxRecords(option: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new InvalidOptionError(option, 'a whole number, 0 or more', value);
  return value as number;
}

/** @throws InvalidOptionError */
export function nativePartitionNumber(option: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > MAX_PARTITION) {
    throw new InvalidOptionError(option, 'a partition number, 0 or more', value);
  }
  return value as number;
}

/** @throws InvalidOptionError */
export function nativePosition(option: string, position: unknown): LogPosition {
  if (position === 'earliest' || position === 'latest' || position === 'high-watermark') return position;
  // A Date of another realm (a test's, a vm's) is one too.
  if (types.isDate(position) && !Number.isNaN(position.getTime())) return position;
  throw new InvalidOptionError(option, "'earliest', 'latest', 'high-watermark' or a valid Date", position);
}

/**
 * Where reading starts.
 * @throws InvalidOptionError
 */
export function nativeOffsets(option: string, starts: readonly StartOffset[]): StartOffset[] {
  return list(option, starts).map((value, i) => ({
    ...nativeOffset(`${option}[${i}]`, value),
    ...nativeLeaderEpoch(`${option}[${i}]`, value),
  }));
}

/**
 * For a commit. Two offsets of the same partition would leave open which of them holds, so the last one is taken.
 * @throws InvalidOptionError
 */
export function nativeCommit(option: string, offsets: readonly NextOffset[]): NextOffset[] {
  const byPartition = new Map<string, NextOffset>();
  list(option, offsets).forEach((value, i) => {
    const path = `${option}[${i}]`;
    const checked: NextOffset = nativeOffset(path, value);
    const { metadata } = value as { metadata?: unknown };
    byPartition.set(`${checked.partition} ${checked.topic}`, {
      ...checked,
      ...(metadata === undefined ? {} : { metadata: nativeMetadata(`${path}.metadata`, metadata) }),
      ...nativeLeaderEpoch(path, value),
    });
  });
  return [...byPartition.values()];
}

function nativeOffset(option: string, value: unknown): TopicPartition & { offset: number } {
  const partition = nativePartition(option, value);
  const { offset } = value as { offset?: unknown };
  if (!Number.isSafeInteger(offset) || (offset as number) < 0) {
    throw new InvalidOptionError(`${option}.offset`, 'a whole number from 0 to Number.MAX_SAFE_INTEGER', offset);
  }
  return { ...partition, offset: offset as number };
}

function nativeLeaderEpoch(option: string, value: unknown): { leaderEpoch?: number } {
  const { leaderEpoch } = value as { leaderEpoch?: unknown };
  return leaderEpoch === undefined ? {} : { leaderEpoch: nativePartitionNumber(`${option}.leaderEpoch`, leaderEpoch) };
}

function nativeMetadata(option: string, value: unknown): string {
  const isUsable =
    typeof value === 'string' && !value.includes('\0') && Buffer.byteLength(value, 'utf8') <= METADATA_MAX_BYTES;
  if (!isUsable) throw new InvalidOptionError(option, `text of at most ${METADATA_MAX_BYTES} bytes without NUL`, value);
  return value;
}

function list(option: string, value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new InvalidOptionError(option, 'a list', value);
  return value;
}
