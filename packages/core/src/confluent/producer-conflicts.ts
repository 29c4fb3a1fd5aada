import { InvalidOptionError } from '../errors.ts';
import type { ClientProperties } from './client-options.ts';
import { propertyPath } from './reserved-properties.ts';

/** A value that does not go with the idempotence that every producer has. */
interface Conflict {
  /** The property, and other names that librdkafka has for it. */
  readonly names: readonly string[];
  readonly expected: string;
  readonly isAllowed: (value: string | number | boolean) => boolean;
}

const conflicts: readonly Conflict[] = [
  {
    names: ['max.in.flight.requests.per.connection', 'max.in.flight'],
    expected: 'at most 5: producers are idempotent',
    isAllowed: (value) => Number(value) <= 5,
  },
  {
    names: ['retries', 'message.send.max.retries'],
    expected: 'at least 1: producers are idempotent',
    isAllowed: (value) => Number(value) >= 1,
  },
  {
    names: ['queue.buffering.backpressure.threshold'],
    expected: '1: producers are idempotent',
    isAllowed: (value) => Number(value) <= 1,
  },
  {
    names: ['queuing.strategy'],
    expected: "'fifo': producers are idempotent",
    isAllowed: (value) => value === 'fifo',
  },
];

/**
 * Refuses what librdkafka itself complains of only when a producer connects, which is when the first message is sent.
 * @throws InvalidOptionError
 */
export function refuseProducerConflicts(properties: Readonly<ClientProperties>): void {
  for (const { names, expected, isAllowed } of conflicts) {
    for (const name of names) {
      const value = properties[name];
      if (value !== undefined && !isAllowed(value)) throw new InvalidOptionError(propertyPath(name), expected, value);
    }
  }
  refuseShortTimeout(properties);
}

/** librdkafka's own default, and ours. */
const DEFAULT_LINGER_MS = 5;

/** A message must not time out while it waits for others to be sent with. */
function refuseShortTimeout(properties: Readonly<ClientProperties>): void {
  const lingerMs = Number(properties['linger.ms'] ?? properties['queue.buffering.max.ms'] ?? DEFAULT_LINGER_MS);
  for (const name of ['message.timeout.ms', 'delivery.timeout.ms']) {
    const value = properties[name];
    // 0 stands for no limit.
    if (value === undefined || Number(value) === 0 || !(Number(value) <= lingerMs)) continue;
    throw new InvalidOptionError(propertyPath(name), `more than linger.ms, which is ${lingerMs}`, value);
  }
}
