import { ClientError } from '../errors.ts';
import type { KafkaConsumer } from '../kafka-client.ts';
import type { Logger } from '../logger.ts';
import type { ClientProperties } from './client-options.ts';

/** Shorter together than a stop waits for its member to leave. */
const CONNECT_MS = 3_000;
const JOIN_MS = 3_000;

/** What a static member cannot do by itself, of a KIP-848 group, or while its group has not taken it in. */
export interface StaticDeparture {
  readonly properties: ClientProperties;
  readonly topics: readonly string[];
  readonly logger: Logger;
  /** A consumer with other properties than the one that leaves. */
  readonly consumer: (properties: ClientProperties) => KafkaConsumer;
}

/**
 * Whether librdkafka's own leaving leaves a static member behind. Of the classic protocol it needs the id that the group gives a member when it takes it
 * in: one that still waits for that cannot take its request back, and is taken in when it is gone.
 */
export function needsDeparture(properties: ClientProperties, wasMember: boolean): boolean {
  return properties['group.protocol'] === 'consumer' || !wasMember;
}

/**
 * Ends the membership of a static member that has been closed. However it leaves a KIP-848 group, librdkafka says that such a member is away (epoch
 * -2), and the group keeps its partitions for a session timeout. A member of the classic protocol leaves for good, and Kafka takes one into such a group,
 * in the place of the one that is away, or that waits to be taken in: so one comes under its id, and leaves. Never rejects: at worst the session timeout
 * ends the membership.
 */
export async function departForGood({ properties, topics, logger, consumer }: StaticDeparture): Promise<void> {
  const successor = consumer(asClassic(properties));
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

function asClassic(properties: ClientProperties): ClientProperties {
  if (properties['group.protocol'] !== 'consumer') return properties;
  const { 'group.remote.assignor': _, ...rest } = properties;
  return { ...rest, 'group.protocol': 'classic', 'partition.assignment.strategy': 'cooperative-sticky' };
}
