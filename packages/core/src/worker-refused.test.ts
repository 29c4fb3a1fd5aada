import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AuthorizationError, CommitError } from './errors.ts';
import type { KafkaCluster, KafkaConsumerOptions } from './kafka-client.ts';
import { embeddedKafka } from './testing/embedded-kafka.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';

const GROUP_AUTHORIZATION_FAILED = 30;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(async () => {
  await new Promise((resolve) => void setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

function clusterWith(...values: readonly string[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
  kafka.send(values.map((value) => ({ topic: 't', value })));
  return kafka;
}

const common = (kafka: FakeKafka) => ({ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet }) as const;

describe('a worker that may not do what it has to', () => {
  it('rejects its start with the error that says so, and leaves nothing behind', async () => {
    const kafka = clusterWith('a');
    kafka.fail('connect', 1, () => new AuthorizationError('not allowed to see the group'));
    let calls = 0;
    const worker = new Worker({ ...common(kafka), handler: () => calls++ });
    await expect(worker.start()).rejects.toThrow(AuthorizationError);
    await kafka.clock.advance(60_000);
    expect([worker.state, calls, kafka.committed('g', 't').size, kafka.clock.pendingTimers]).toEqual([
      'failed',
      0,
      0,
      0,
    ]);
    await expect(worker.finished).rejects.toThrow('not allowed to see the group');
  });

  it('ends when its first commit is refused, before it has handled anything', async () => {
    const kafka = clusterWith('a');
    kafka.failCommits(1, { kafkaCode: GROUP_AUTHORIZATION_FAILED, retriable: false });
    let calls = 0;
    const worker = new Worker({ ...common(kafka), handler: () => calls++ });
    const finished = expect(worker.finished).rejects.toThrow(CommitError);
    await worker.start().catch(() => {});
    await kafka.clock.advance(60_000);
    await finished;
    expect([worker.state, calls, kafka.committed('g', 't').size]).toEqual(['failed', 0, 0]);
  });

  it('ends when a later commit is refused, and the error names partition, offset and code', async () => {
    const kafka = clusterWith('a', 'b');
    const worker = new Worker({ ...common(kafka), handler: () => {} });
    const failed: unknown[] = [];
    worker.on('assigned', () => kafka.failCommits(100, { kafkaCode: GROUP_AUTHORIZATION_FAILED, retriable: false }));
    worker.on('commit-failed', ({ offsets }) => failed.push(offsets.map(({ offset }) => offset)));
    worker.finished.catch(() => {});
    await worker.start();
    await kafka.clock.advance(60_000);
    const error: unknown = await worker.finished.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommitError);
    expect((error as CommitError).failures).toMatchObject([
      { topic: 't', partition: 0, offset: 2, kafkaCode: GROUP_AUTHORIZATION_FAILED },
    ]);
    expect([worker.state, kafka.committed('g', 't').get(0)]).toEqual(['failed', 0]);
    expect(failed[0]).toEqual([2]);
  });
});

const FIND_COORDINATOR = 10;
const OFFSET_COMMIT = 8;

describe('a worker on a real client', () => {
  it.each([
    ['its first commit', OFFSET_COMMIT, CommitError],
    ['the group', FIND_COORDINATOR, AuthorizationError],
  ])('ends with a named error when it is refused %s, and the process lives on', async (_what, apiKey, expected) => {
    await using kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
    await kafka.send([{ topic: 't', value: 'a' }]);
    kafka.pushErrors(apiKey, Array<number>(200).fill(GROUP_AUTHORIZATION_FAILED));
    let calls = 0;
    const worker = new Worker({ kafka, groupId: 'g', topics: 't', logger: quiet, handler: () => calls++ });
    const ended = worker.finished.catch((error: unknown) => error);
    await worker.start().catch(() => {});
    expect(await ended).toBeInstanceOf(expected);
    expect([worker.state, calls]).toEqual(['failed', 0]);
  });
});

describe('groupInstanceId', () => {
  it.each([['node-1'], [undefined]])('reaches the consumer as it was given: %s', async (groupInstanceId) => {
    const kafka = clusterWith('a');
    const given: KafkaConsumerOptions[] = [];
    const watched: KafkaCluster = {
      ...kafka,
      consumer(options) {
        given.push(options);
        return kafka.consumer(options);
      },
    };
    const worker = new Worker({
      ...{ ...common(kafka), kafka: watched, handler: () => {} },
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
    });
    await worker.start();
    await kafka.clock.advance(10);
    await worker.stop();
    expect(given).toMatchObject([{ groupId: 'g', groupProtocol: 'classic' }]);
    expect(given[0]?.groupInstanceId).toBe(groupInstanceId);
  });
});
