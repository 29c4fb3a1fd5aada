import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';

/** The ends of a topic's logs, and what a group has committed of them. */
export interface GroupEnd {
  readonly ends: readonly number[];
  readonly committed: readonly (number | undefined)[];
}

export interface GroupEndOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly groupId: string;
  readonly partitions: number;
}

const REST_MS = 60_000;
const LOOK_MS = 200;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Waits until the group has committed everything that is in the topic, but no longer than a minute: then it says how far it is. */
export async function untilGroupEnd({ brokers, topic, groupId, partitions }: GroupEndOptions): Promise<GroupEnd> {
  const kafka = confluentKafka({ brokers: brokers.split(',') });
  const consumer = kafka.consumer({ groupId, groupProtocol: 'classic', clock: systemClock, logger: quiet });
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  try {
    await consumer.connect({ timeoutMs: 30_000 });
    const ends = (await consumer.offsetsFor(all, 'latest')).map(({ offset }) => offset);
    const deadline = Date.now() + REST_MS;
    for (;;) {
      const committed = (await consumer.committed(all)).map(({ offset }) => offset);
      if (committed.every((offset, partition) => offset === ends[partition]) || Date.now() > deadline)
        return { ends, committed };
      await sleep(LOOK_MS);
    }
  } finally {
    await consumer.close();
  }
}
