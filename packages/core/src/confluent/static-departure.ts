import { ClientError } from '../errors.ts';
import type { KafkaConsumer } from '../kafka-client.ts';
import type { Logger } from '../logger.ts';
import type { ClientProperties } from './client-options.ts';

/** Shorter together than a stop waits for its member to leave. */
const CONNECT_MS = 3_000;
const JOIN_MS = 3_000;

/** What a static member of a KIP-848 group cannot do by itself. */
export interface StaticDeparture {
  readonly properties: ClientProperties;
  readonly topics: readonly string[];
  readonly logger: Logger;
  /** A consumer with other properties than the one that leaves. */
  readonly consumer: (properties: ClientProperties) => KafkaConsumer;
}

/** Whether librdkafka's own leaving would only say that a static member is away. */
export function needsDeparture(properties: ClientProperties): boolean {
  return properties['group.protocol'] === 'consumer';
}

/**
 * Ends the membership of a static member of a KIP-848 group that has been closed. However it leaves, librdkafka says that such a member is away (epoch
 * -2), and the group keeps its partitions for a session timeout. A member of the classic protocol leaves for good, and Kafka takes one into such a group,
 * in the place of the one that is away: so one comes under its id, and leaves. Never rejects: at worst the session timeout ends the membership.
 */
export async function departForGood({ properties, topics, logger, consumer }: StaticDeparture): Promise<void> {
  const { 'group.remote.assignor': _, ...rest } = properties;
  const successor = consumer({
    ...rest,
    'group.protocol': 'classic',
    'partition.assignment.strategy': 'cooperative-sticky',
  });
  try {
    await successor.connect({ timeoutMs: CONNECT_MS });
    successor.subscribe(topics);
    // What it is given, it gives back by leaving.
    await successor.poll(0, JOIN_MS);
    if (!successor.isMember)
      throw new ClientError(`the group did not take it in within ${JOIN_MS} ms`, { retriable: true });
  } catch (error) {
    logger.warn('a static member could not leave its group: the group keeps its partitions for a session timeout', {
      error,
    });
  } finally {
    await successor.close({ leaveGroup: true });
  }
}
