import { deadLetterHeaders } from '../dead-letter-message.ts';
import { InvalidOptionError } from '../errors.ts';
import { isTopicName } from '../option-checks.ts';
import type { KafkaRecord, OutgoingRecord } from '../record.ts';

/** The header of a record that was sent back: how often it was, as decimal text. The only one that a redrive adds. */
export const redriveCountHeader = 'redrive.count';

/** What every header of a dead letter's own begins with. */
const PREFIX = 'dead-letter.';

type Header = readonly [name: string, value: Buffer | null];

/** Where a dead letter goes. */
export interface RedriveTarget {
  readonly topic: string;
  /** Where it came from, when it goes back there; the key decides when there is no such partition. */
  readonly partition: number | undefined;
}

/**
 * To `to`, or to where the dead letter came from. Pure.
 * @throws InvalidOptionError when neither tells
 */
export function redriveTarget({ headers }: KafkaRecord, to: string | undefined): RedriveTarget {
  const source = headers.get(deadLetterHeaders.topic)?.toString();
  const topic = to ?? source;
  if (!isTopicName(topic)) {
    const expected = `a topic, for this dead letter does not say where it came from (header ${deadLetterHeaders.topic})`;
    throw new InvalidOptionError('to', expected, source);
  }
  const partition = headers.get(deadLetterHeaders.partition)?.toString() ?? '';
  return { topic, partition: topic === source && /^\d{1,9}$/.test(partition) ? Number(partition) : undefined };
}

/**
 * The record as it was before it became a dead letter, byte for byte, with the header that counts how often it was sent back. Pure.
 *
 * One that became a dead letter again under way (`orders`, `orders.dead`, `orders.dead.dead`) has a set of headers for each time. Those from the set
 * that names the target on go; what came before them was there when it left the target, and stays.
 */
export function redriveMessage(record: KafkaRecord, topic: string, partition: number | undefined): OutgoingRecord {
  const headers: Header[] = [...record.headers];
  const lastFrom = headers.findLastIndex(([name, value]) => {
    return name === deadLetterHeaders.topic && value?.toString() === topic;
  });
  const kept = headers.filter(([name], i) => {
    return name !== redriveCountHeader && (i < lastFrom || !name.startsWith(PREFIX));
  });
  const count = Number(record.headers.get(redriveCountHeader)?.toString() ?? 0);
  const next = Number.isSafeInteger(count) && count >= 0 ? count + 1 : 1;
  return {
    ...{ topic, key: record.key, value: record.value },
    headers: [...kept, [redriveCountHeader, String(next)]],
    ...(partition === undefined ? {} : { partition }),
  };
}
