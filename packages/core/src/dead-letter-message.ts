import type { CallItem, HandlerCall } from './handler-call.ts';
import { toError } from './kafka-worker-error.ts';
import type { OutgoingRecord } from './record.ts';

const MAX_MESSAGE_LENGTH = 1_000;
const MAX_STACK_LENGTH = 4_000;

/** The headers that a dead letter has beside those of its record. */
export const deadLetterHeaders = {
  topic: 'dead-letter.source.topic',
  partition: 'dead-letter.source.partition',
  offset: 'dead-letter.source.offset',
  /** Kafka's timestamp of the record, in milliseconds since the epoch. */
  timestamp: 'dead-letter.source.timestamp',
  group: 'dead-letter.group',
  /** Handler calls in all. */
  attempts: 'dead-letter.attempts',
  /** In milliseconds since the epoch, as the next. */
  firstFailedAt: 'dead-letter.first-failed-at',
  lastFailedAt: 'dead-letter.last-failed-at',
  errorClass: 'dead-letter.error.class',
  errorMessage: 'dead-letter.error.message',
  errorStack: 'dead-letter.error.stack',
} as const;

/** The record as it was received, byte for byte, with headers that say where it came from and why it is here. */
export function deadLetterOf(
  topic: string,
  call: HandlerCall,
  { received }: CallItem,
  error: unknown,
  groupId: string,
): OutgoingRecord {
  const names = deadLetterHeaders;
  const { message, stack } = toError(error);
  const added: readonly (readonly [string, string])[] = [
    [names.topic, received.topic],
    [names.partition, String(received.partition)],
    [names.offset, String(received.offset)],
    [names.timestamp, String(received.timestamp)],
    [names.group, groupId],
    [names.attempts, String(call.attempt)],
    [names.firstFailedAt, String(Math.round(call.firstFailedAt ?? 0))],
    [names.lastFailedAt, String(Math.round(call.lastFailedAt ?? 0))],
    [names.errorClass, bounded(classOf(error), MAX_MESSAGE_LENGTH)],
    [names.errorMessage, bounded(message, MAX_MESSAGE_LENGTH)],
    [names.errorStack, bounded(stack ?? '', MAX_STACK_LENGTH)],
  ];
  return { topic, key: received.key, value: received.value, headers: [...received.headers, ...added] };
}

/** The class says most; an error of another realm, or of a bundle with short names, may know its name only. */
function classOf(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error === null ? 'null' : typeof error;
  const className: unknown = error.constructor?.name;
  const isTelling = className !== undefined && className !== '' && className !== 'Error';
  return isTelling ? className : ((error as { readonly name?: unknown }).name ?? 'object');
}

/** What people throw need not have a text where errors have one. */
function bounded(given: unknown, maxLength: number): string {
  const text = typeof given === 'string' ? given : describe(given);
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}…`;
}

function describe(given: unknown): string {
  try {
    return String(given);
  } catch {
    return typeof given;
  }
}
