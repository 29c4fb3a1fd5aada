import { InvalidOptionError } from '../errors.ts';
import type { OutgoingRecord, TopicPartition } from '../record.ts';
import { partitionKey } from './fake-kafka-assignor.ts';

/** Refuses what no client may be handed: see the promise of the port. */
export function checkPartitions(option: string, partitions: readonly TopicPartition[]): void {
  const seen = new Set<string>();
  for (const [index, partition] of partitions.entries()) {
    checkTopic(`${option}[${index}].topic`, partition.topic);
    checkCount(`${option}[${index}].partition`, partition.partition, 0);
    if (seen.has(partitionKey(partition)))
      throw new InvalidOptionError(`${option}[${index}]`, 'each partition once', partitionKey(partition));
    seen.add(partitionKey(partition));
  }
}

export function checkOffsets(option: string, offsets: readonly (TopicPartition & { readonly offset: number })[]): void {
  checkPartitions(option, offsets);
  for (const [index, { offset }] of offsets.entries()) checkCount(`${option}[${index}].offset`, offset, 0);
}

export function checkCount(option: string, count: number, atLeast: number): void {
  if (!Number.isSafeInteger(count) || count < atLeast)
    throw new InvalidOptionError(option, `a whole number from ${atLeast}`, count);
}

export function checkMs(option: string, ms: number): void {
  if (typeof ms !== 'number' || !(ms >= 0 && ms < Number.POSITIVE_INFINITY)) {
    throw new InvalidOptionError(option, 'milliseconds, 0 or more', ms);
  }
}

export function checkTopic(option: string, topic: string): void {
  if (typeof topic !== 'string' || topic === '') throw new InvalidOptionError(option, 'the name of a topic', topic);
}

export function checkMessage(message: OutgoingRecord): void {
  checkTopic('message.topic', message.topic);
  checkBytes('message.value', message.value);
  if (message.key !== undefined) checkBytes('message.key', message.key);
  if (message.partition !== undefined) checkCount('message.partition', message.partition, 0);
}

function checkBytes(option: string, bytes: Buffer | string | null): void {
  if (bytes !== null && typeof bytes !== 'string' && !Buffer.isBuffer(bytes)) {
    throw new InvalidOptionError(option, 'a Buffer, a string or null', bytes);
  }
}
