import { describe, expect, it } from '@jest/globals';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const onePartition = { partitions: 1 };

/** Runs a worker that begins at the end, for two seconds, and tells what it has handled. */
async function handledBy(kafka: FakeKafka, topics: RegExp | readonly string[], workers = 1): Promise<string[]> {
  const handled: string[] = [];
  const make = () =>
    new Worker({
      ...{ kafka, groupId: 'g', topics, clock: kafka.clock, logger: quiet, startFrom: 'latest' },
      handler: (record) => void handled.push(String(record.value)),
    });
  const all = Array.from({ length: workers }, make);
  await Promise.all(all.map((worker) => worker.start()));
  await kafka.clock.advance(2_000);
  await Promise.all(all.map((worker) => worker.stop()));
  return handled;
}

describe("startFrom: 'latest'", () => {
  it('starts a topic at its beginning that appeared while no worker ran, also when another one has gone', async () => {
    const kafka = fakeKafka({ topics: { 'log-a': onePartition, 'log-b': onePartition } });
    await handledBy(kafka, /^log-/);
    kafka.deleteTopic('log-b');
    kafka.createTopic('log-c');
    kafka.send([{ topic: 'log-c', value: 'new' }]);
    expect(await handledBy(kafka, /^log-/)).toEqual(['new']);
  });

  it('starts a topic at its beginning that took the place of another one in the options', async () => {
    const kafka = fakeKafka({ topics: { a: onePartition, b: onePartition, c: onePartition } });
    await handledBy(kafka, ['a', 'b']);
    kafka.send([{ topic: 'c', value: 'c1' }]);
    expect(await handledBy(kafka, ['a', 'c'])).toEqual(['c1']);
  });

  it('starts every partition of a later topic at its beginning, however many workers share it', async () => {
    const kafka = fakeKafka({ topics: { a: { partitions: 4 }, c: { partitions: 4 } } });
    await handledBy(kafka, ['a']);
    kafka.send([0, 1, 2, 3].map((partition) => ({ topic: 'c', partition, value: `c${partition}` })));
    expect((await handledBy(kafka, ['a', 'c'], 4)).sort()).toEqual(['c0', 'c1', 'c2', 'c3']);
  });

  it('skips what was there in all topics of a new group, however many workers begin at once', async () => {
    const kafka = fakeKafka({ topics: { a: { partitions: 3 }, b: { partitions: 2 }, c: onePartition } });
    kafka.send(['a', 'b', 'c'].map((topic) => ({ topic, partition: 0, value: 'old' })));
    expect(await handledBy(kafka, ['a', 'b', 'c'], 3)).toEqual([]);
    kafka.send(['a', 'b', 'c'].map((topic) => ({ topic, partition: 0, value: `new ${topic}` })));
    expect((await handledBy(kafka, ['a', 'b', 'c'], 3)).sort()).toEqual(['new a', 'new b', 'new c']);
  });
});
