import { describe, expect, it } from '@jest/globals';
import { ConnectionError } from './errors.ts';
import type { KafkaCluster } from './kafka-client.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const at = (partition: number) => ({ topic: 't', partition });

/** A cluster whose brokers do not say where logs begin and end, once the test says so; each question takes 10 s. */
function silentAboutLogs(kafka: FakeKafka) {
  const silence = { isOn: false, questions: 0 };
  const cluster: KafkaCluster = {
    ...kafka,
    consumer(options) {
      const consumer = kafka.consumer(options);
      const offsetsFor = consumer.offsetsFor.bind(consumer);
      consumer.offsetsFor = async (...given) => {
        if (!silence.isOn) return offsetsFor(...given);
        silence.questions++;
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 10_000));
        throw new ConnectionError('no answer', { brokers: [] });
      };
      return consumer;
    },
  };
  return { cluster, silence };
}

describe('while nobody says whether positions are in the log still', () => {
  it('records are read and handled, however often it is to be looked, and it is looked once at a time', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
    const { cluster, silence } = silentAboutLogs(kafka);
    const handled: string[] = [];
    const worker = new Worker({
      ...{ kafka: cluster, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, stallMs: 15_000 },
      handler: ({ value }) => void handled.push(String(value)),
    });
    await worker.start();
    await kafka.clock.advance(1_000);
    silence.isOn = true;
    const isLive: boolean[] = [];
    for (let second = 0; second < 60; second++) {
      worker.pause([at(1)]);
      worker.resume([at(1)]);
      kafka.send([{ ...at(0), value: `${second}` }]);
      await kafka.clock.advance(1_000);
      isLive.push(worker.health().live);
      expect(handled).toHaveLength(second + 1);
    }
    expect(isLive).not.toContain(false);
    // Where logs begin and where they end, every eleven seconds.
    expect(silence.questions).toBeLessThan(20);
    silence.isOn = false;
    await kafka.clock.advance(30_000);
    await worker.stop();
    expect(kafka.clock.pendingTimers).toBe(0);
  });
});
