import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { uniqueName } from '../testing/cluster-under-test.ts';
import { embeddedKafka } from '../testing/embedded-kafka.ts';
import { MissingTopics } from './missing-topics.ts';
import type { NativeMetadata } from './native-client.ts';

/** A cluster that knows of some topics, and is asked: each topic by its name, all of them as `*`. */
class AskedCluster {
  isUsable = true;
  readonly known = new Set<string>();
  readonly asked: string[] = [];
  /** As if another broker answered that does not know them yet. */
  isBehind = false;

  metadata(topic: string | undefined): Promise<NativeMetadata> {
    this.asked.push(topic ?? '*');
    const names = topic === undefined ? [...this.known] : [topic].filter((name) => this.known.has(name));
    const isHidden = topic === undefined && this.isBehind;
    return Promise.resolve({ topics: isHidden ? [] : names.map((name) => ({ name, partitions: [{}] })) });
  }
}

function looking(...topics: string[]): { readonly cluster: AskedCluster; readonly missing: MissingTopics } {
  const cluster = new AskedCluster();
  return { cluster, missing: new MissingTopics({ raw: cluster, topics: () => topics }) };
}

describe('subscribed topics that are missing', () => {
  afterEach(() => void jest.useRealTimers());

  it('are looked for until they are there, ever more seldom, and then all topics are asked for, once', async () => {
    jest.useFakeTimers();
    const { cluster, missing } = looking('late', '^pattern');
    missing.look();
    missing.look();
    await jest.advanceTimersByTimeAsync(250 + 500 + 1_000);
    expect(cluster.asked.splice(0)).toEqual(['late', 'late', 'late']);
    await jest.advanceTimersByTimeAsync(10 * 60_000);
    expect(cluster.asked.splice(0).length).toBeLessThan(25);
    cluster.known.add('late');
    await jest.advanceTimersByTimeAsync(10 * 60_000);
    expect(cluster.asked.splice(0)).toEqual(['late', '*']);
    missing.look();
    await jest.advanceTimersByTimeAsync(250);
    expect(cluster.asked).toEqual(['late', '*']);
  });

  it('are not there before a list of all topics has them: another broker may have answered', async () => {
    jest.useFakeTimers();
    const { cluster, missing } = looking('late');
    cluster.known.add('late');
    cluster.isBehind = true;
    missing.look();
    await jest.advanceTimersByTimeAsync(250);
    cluster.isBehind = false;
    await jest.advanceTimersByTimeAsync(60_000);
    expect(cluster.asked).toEqual(['late', '*', 'late', '*']);
  });

  it('are looked for again after a question without an answer, and no more once the client is closed', async () => {
    jest.useFakeTimers();
    const { cluster, missing } = looking('late');
    const answer = jest.spyOn(cluster, 'metadata').mockRejectedValue(new Error('away'));
    missing.look();
    await jest.advanceTimersByTimeAsync(250 + 500);
    expect(answer).toHaveBeenCalledTimes(2);
    cluster.isUsable = false;
    await jest.advanceTimersByTimeAsync(60_000);
    expect(answer).toHaveBeenCalledTimes(2);
  });
});

describe('a subscribed topic that is there only later', () => {
  // librdkafka's group would go without it for five minutes.
  it('is assigned soon', async () => {
    await using kafka = await embeddedKafka({ topics: { there: { partitions: 1 } } });
    const common = { clock: systemClock, logger: { debug() {}, info() {}, warn() {}, error() {} } };
    const consumer = kafka.consumer({ groupId: uniqueName('group'), groupProtocol: 'classic', ...common });
    const admin = kafka.admin(common);
    await Promise.all([consumer, admin].map((client) => client.connect({ timeoutMs: 10_000 })));
    try {
      consumer.subscribe(['there', 'late']);
      const assigned = new Set<string>();
      const until = async (topic: string): Promise<void> => {
        while (!assigned.has(topic))
          for (const { type, partitions } of (await consumer.poll(1_000, 10)).events)
            if (type !== 'assigned') consumer.release(partitions);
            else {
              for (const partition of partitions) assigned.add(partition.topic);
              consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })));
            }
      };
      await until('there');
      await admin.createTopic('late', { partitions: 1 });
      await until('late');
      expect(assigned).toEqual(new Set(['there', 'late']));
    } finally {
      await Promise.all([consumer.close(), admin.close()]);
    }
  }, 60_000);
});
