import type { KafkaCluster, KafkaConsumer, Poll, ReceivedRecord, TopicPartition } from '@kafka-worker/core';

/** Without a spread: an object that begins with one has a hidden class of its own (Node 20), and it is the engine that is measured. */
function pollOf(records: readonly ReceivedRecord[], events: Poll['events'] = []): Poll {
  return { events, records, positions: [], errors: [] };
}

/** Records by their place: an array, or what makes them as they are asked for. */
export interface ReplayedRecords {
  readonly length: number;
  slice(from: number, to: number): readonly ReceivedRecord[];
}

/** A cluster that hands out records made before, as fast as they are asked for: what remains is the engine's own cost. */
export function replayedKafka(topic: string, partitions: number, records: ReplayedRecords): KafkaCluster {
  const refuse = (): never => {
    throw new Error('the replayed cluster has one consumer, and nothing else');
  };
  return {
    kind: 'kafka-cluster',
    brokers: ['replayed'],
    consumer: () => replayedConsumer(topic, partitions, records),
    producer: refuse,
    transactionalProducer: refuse,
    admin: refuse,
  };
}

function replayedConsumer(topic: string, partitions: number, records: ReplayedRecords): KafkaConsumer {
  const all: TopicPartition[] = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  let next = 0;
  let phase: 'joining' | 'offered' | 'assigned' | 'closed' = 'joining';
  let endWait = (): void => {};
  const wait = (): Promise<Poll> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => endWait(), 20);
      endWait = () => {
        clearTimeout(timer);
        resolve(pollOf([]));
      };
    });
  return {
    isMember: true,
    connect: () => Promise.resolve(),
    subscribe() {},
    poll(maxRecords) {
      if (phase === 'joining') {
        phase = 'offered';
        return Promise.resolve(pollOf([], [{ type: 'assigned', partitions: all }]));
      }
      if (phase !== 'assigned' || maxRecords === 0 || next === records.length) return wait();
      const chunk = records.slice(next, next + maxRecords);
      next += chunk.length;
      return Promise.resolve(pollOf(chunk));
    },
    wake: () => endWait(),
    commit: () => Promise.resolve(),
    committed: (asked) => Promise.resolve(asked.map((one) => ({ ...one, offset: undefined, metadata: undefined }))),
    assign() {
      phase = 'assigned';
      endWait();
    },
    release() {},
    pause() {},
    resume() {},
    seek: () => Promise.resolve(),
    watermarks: () => undefined,
    offsetsFor: (asked, position) => {
      const offset = position === 'earliest' ? 0 : records.length;
      return Promise.resolve(asked.map((one) => ({ ...one, offset })));
    },
    partitionCounts: () => Promise.resolve(new Map([[topic, partitions]])),
    close() {
      phase = 'closed';
      endWait();
      return Promise.resolve();
    },
  };
}
