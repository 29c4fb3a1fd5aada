import { describe, expect, it } from '@jest/globals';
import { ClientError } from './errors.ts';
import type { KafkaCluster } from './kafka-client.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const at = (partition: number) => ({ topic: 't', partition });

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

/** A cluster of two partitions, the second of which has no leader until the test says so. */
function withoutLeader(rest: Rest = {}) {
  const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
  const state = { hasLeader: false, questions: 0 };
  const cluster: KafkaCluster = {
    ...kafka,
    consumer(options) {
      const consumer = kafka.consumer(options);
      const offsetsFor = consumer.offsetsFor.bind(consumer);
      consumer.offsetsFor = (partitions, position) => {
        state.questions++;
        if (!state.hasLeader && partitions.some(({ partition }) => partition === 1))
          return Promise.reject(new ClientError('Broker: Leader not available', { retriable: true }));
        return offsetsFor(partitions, position);
      };
      return consumer;
    },
  };
  const handled: string[] = [];
  const worker = new Worker({
    ...{ kafka: cluster, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, ...rest },
    handler: ({ partition, offset }) => void handled.push(`${partition}@${offset}`),
  });
  kafka.send([0, 0, 1, 1].map((partition) => ({ ...at(partition), value: 'a' })));
  return { kafka, state, worker, handled };
}

describe('an assignment with a partition that has no leader', () => {
  it('does not keep the others from being read, and that one goes on where it is known to', async () => {
    const { kafka, state, worker, handled } = withoutLeader();
    kafka.group('g').setCommitted([0, 1].map((partition) => ({ ...at(partition), offset: 1 })));
    await worker.start();
    await kafka.clock.advance(1_000);
    // A leader that is being elected is waited for.
    expect(handled).toEqual([]);
    await kafka.clock.advance(9_000);
    expect(handled).toContain('0@1');
    // Whether it is in its log is asked on: what the client says of that itself can get lost.
    const { questions } = state;
    await kafka.clock.advance(3_000);
    expect(state.questions).toBeGreaterThan(questions);
    expect(worker.status().partitions.map(({ partition }) => partition)).toEqual([0, 1]);
    state.hasLeader = true;
    await kafka.clock.advance(5_000);
    expect(handled.sort()).toEqual(['0@1', '1@1']);
    expect(await worker.stop()).toMatchObject({ state: 'stopped', left: [] });
    expect(kafka.clock.pendingTimers).toBe(0);
  });

  it('has that one looked at when somebody knows where its log begins', async () => {
    const { kafka, state, worker, handled } = withoutLeader({ onOffsetOutOfRange: 'earliest' });
    kafka.group('g').setCommitted([0, 1].map((partition) => ({ ...at(partition), offset: partition === 0 ? 1 : 7 })));
    await worker.start();
    await kafka.clock.advance(20_000);
    expect(handled).toEqual(['0@1']);
    state.hasLeader = true;
    await kafka.clock.advance(5_000);
    expect(handled).toEqual(['0@1', '1@0', '1@1']);
    await worker.stop();
  });

  it('waits as a whole for one of which nothing is known, for where it starts is in its log', async () => {
    const { kafka, state, worker, handled } = withoutLeader();
    kafka.group('g').setCommitted([{ ...at(0), offset: 1 }]);
    await worker.start();
    await kafka.clock.advance(30_000);
    expect(handled).toEqual([]);
    expect(worker.health()).toMatchObject({
      live: true,
      reasons: [expect.stringMatching(/an assignment has been waiting for \d+ s: Broker: Leader not available/)],
    });
    state.hasLeader = true;
    await kafka.clock.advance(5_000);
    expect(handled.sort()).toEqual(['0@1', '1@0', '1@1']);
    await worker.stop();
  });
});
