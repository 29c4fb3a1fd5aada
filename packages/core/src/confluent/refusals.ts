import { AuthorizationError } from '../errors.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';

/** What Kafka calls the right that is missing. READ includes DESCRIBE. */
export type Operation = 'DESCRIBE' | 'READ' | 'WRITE';

/** Of several topics one is meant, and Kafka does not say which. */
export function topicRefused(operation: Operation, topics: readonly string[], cause: unknown): AuthorizationError {
  const names = topics.map((topic) => JSON.stringify(topic)).join(', ');
  const which = topics.length === 1 ? `topic ${names}` : `one of the topics ${names}`;
  const hint =
    operation === 'DESCRIBE' ? ', and Kafka hides what may not be described. Allow READ, which includes it' : '';
  return new AuthorizationError(`${which}: this user may not ${operation} it${hint} (TOPIC_AUTHORIZATION_FAILED)`, {
    operation,
    topics,
    cause,
  });
}

/** The group's own right, without which nothing is read and nothing committed. */
export function groupRefused(operation: Operation, groupId: string, cause: unknown): AuthorizationError {
  const message = `group ${JSON.stringify(groupId)}: this user may not ${operation} it (GROUP_AUTHORIZATION_FAILED)`;
  return new AuthorizationError(message, { operation, groupId, cause });
}

/** The right to write in transactions, which goes by their id. */
export function transactionalIdRefused(transactionalId: string, cause: unknown): AuthorizationError {
  const id = JSON.stringify(transactionalId);
  const message = `transactional id ${id}: this user may not WRITE with it (TRANSACTIONAL_ID_AUTHORIZATION_FAILED)`;
  return new AuthorizationError(message, { operation: 'WRITE', cause });
}

/** What the client itself says of a group (an event, its fatal error) names none. */
export function withGroup(error: KafkaWorkerError, groupId: string): KafkaWorkerError {
  const isUnnamed = error instanceof AuthorizationError && error.operation === undefined;
  return isUnnamed && /group authorization failed/i.test(error.message) ? groupRefused('READ', groupId, error) : error;
}

/** Whether librdkafka's text stands for Kafka's TOPIC_AUTHORIZATION_FAILED: an answer that lists partitions has texts, and no codes. */
export function isTopicRefusal(text: string): boolean {
  return text.startsWith('Broker: Topic authorization failed');
}
