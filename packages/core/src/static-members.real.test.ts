import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from './clock.ts';
import { confluentKafka } from './confluent/index.ts';
import type { AssignmentEvent, KafkaConsumer } from './kafka-client.ts';
import type { TopicPartition } from './record.ts';
import { TestClients, uniqueName } from './testing/cluster-under-test.ts';
import { Worker } from './worker.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const quiet = { info() {}, warn() {}, error() {} };
const PARTITIONS = 4;
/** Under `'consumer'` the broker decides: 10 s where `npm run kafka` started it, 45 s by default. */
const SESSION_MS = 10_000;
const classic = { 'session.timeout.ms': SESSION_MS, 'heartbeat.interval.ms': 200 };
/** Lets librdkafka say what it heartbeats. */
const talkative = { debug: 'cgrp', log_level: 7 };

/** A static member, what it has handled, and what became of its assignment. */
class Member {
  readonly worker: Worker;
  readonly handled: string[] = [];
  readonly changes: string[] = [];
  /** Of the group, as its last heartbeat had it. */
  generation = -1;

  constructor(id: string, topic: string, groupId: string, groupProtocol: 'classic' | 'consumer') {
    this.worker = new Worker({
      kafka: confluentKafka({
        brokers: (brokers ?? '').split(','),
        librdkafka: { ...talkative, ...(groupProtocol === 'classic' ? classic : {}) },
      }),
      ...{ groupId, topics: topic, groupProtocol, groupInstanceId: id, commit: { everyMs: 100 } },
      logger: {
        ...quiet,
        debug: (_message, fields = {}) => {
          const generation = /Heartbeat .*generation id (\d+)/.exec(JSON.stringify(fields))?.[1];
          if (generation !== undefined) this.generation = Number(generation);
        },
      },
      handler: ({ partition, offset }) => void this.handled.push(`${partition}@${offset}`),
    });
    this.worker.finished.catch(() => {});
    this.worker.on('assigned', ({ partitions }) => void this.changes.push(`+${partitions.length}`));
    this.worker.on('revoked', ({ partitions }) => void this.changes.push(`-${partitions.length}`));
  }

  get owned(): readonly number[] {
    return this.worker
      .status()
      .partitions.map(({ partition }) => partition)
      .sort();
  }
}

async function until(holds: () => boolean, what: string, ms = 25_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(10);
  }
}

const members: Member[] = [];
const all: TestClients[] = [];
afterEach(async () => {
  await Promise.all(members.splice(0).map(({ worker }) => worker.stop({ leaveGroup: true })));
  await Promise.all(all.splice(0).map((clients) => clients.close()));
});

/** Two static members that share a topic; `start` adds one, or brings one back. */
async function twoMembers(groupProtocol: 'classic' | 'consumer') {
  const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
  const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
  all.push(clients);
  const topic = await clients.topic(PARTITIONS);
  const groupId = uniqueName('static');
  const start = async (id: string): Promise<Member> => {
    const member = new Member(id, topic, groupId, groupProtocol);
    members.push(member);
    await member.worker.start();
    return member;
  };
  const one = await start('one');
  await until(() => one.owned.length === PARTITIONS, 'all for the first');
  const other = await start('other');
  await until(() => one.owned.length === 2 && other.owned.length === 2, 'half for each');
  // Giving a partition back is a generation of its own under the classic protocol.
  for (let seen = -1; seen !== one.generation || one.generation !== other.generation; await sleep(1_000)) {
    seen = one.generation;
  }
  const send = (): Promise<unknown> =>
    Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => clients.sendNumbers(topic, partition, 5)));
  await send();
  await until(() => one.handled.length + other.handled.length === PARTITIONS * 5, 'the first records');
  return { one, other, start, send };
}

onRealKafka.each(['classic', 'consumer'] as const)('a static member on real Kafka, group protocol %s', (protocol) => {
  it('comes back within the session timeout to its own partitions, and nobody else notices', async () => {
    const { one, other, start, send } = await twoMembers(protocol);
    const owned = one.owned;
    const before = { changes: [...other.changes], generation: other.generation };
    expect(before.generation).toBeGreaterThan(0);
    expect(await one.worker.stop()).toMatchObject({ state: 'stopped', left: [] });
    await send();
    await until(() => other.handled.length === 20, 'what is for the one that stays');
    const back = await start('one');
    await until(() => back.owned.length === 2, 'its partitions');
    await until(() => back.handled.length === 10, 'what came while it was away');
    expect(back.owned).toEqual(owned);
    // Longer than any member takes to hear of a rebalance.
    await sleep(1_500);
    expect({ changes: other.changes, generation: other.generation }).toEqual(before);
    expect(back.generation).toBe(before.generation);
    expect(back.changes).toEqual(['+2']);
    const names = [...one.handled, ...other.handled, ...back.handled];
    expect(new Set(names).size).toBe(names.length);
  });

  it.each([0, 100])('leaves at once also %d ms after its start, when the group has not taken it in yet', async (ms) => {
    const { one, other, start } = await twoMembers(protocol);
    const third = await start('third');
    await sleep(ms);
    const startedAt = Date.now();
    expect(await third.worker.stop({ leaveGroup: true })).not.toHaveProperty('error');
    // A member that is still waited for is given partitions when the others have joined again: nobody would handle those.
    await sleep(1_500);
    await until(() => one.owned.length + other.owned.length === PARTITIONS, 'all for those that stay');
    expect(Date.now() - startedAt).toBeLessThan(SESSION_MS - 1_000);
  });

  it('leaves at once where it says that it does not return', async () => {
    const { one, other, send } = await twoMembers(protocol);
    const startedAt = Date.now();
    await one.worker.stop({ leaveGroup: true });
    await until(() => other.owned.length === PARTITIONS, 'all for the one that stays');
    expect(Date.now() - startedAt).toBeLessThan(SESSION_MS / 2);
    await send();
    await until(() => one.handled.length + other.handled.length === PARTITIONS * 10, 'all records');
    expect(new Set([...one.handled, ...other.handled]).size).toBe(PARTITIONS * 10);
  });
});

onRealKafka('a static member that leaves for good while its group waits for another one', () => {
  it('waits for that in a bound, says that it may be kept for a session timeout, and tries no more', async () => {
    const kafka = confluentKafka({
      brokers: (brokers ?? '').split(','),
      librdkafka: { ...classic, 'partition.assignment.strategy': 'range' },
    });
    const clients = new TestClients({ cluster: kafka, clock: systemClock, dispose: () => Promise.resolve() });
    all.push(clients);
    const topic = await clients.topic(PARTITIONS);
    const warnings: string[] = [];
    const logger = { debug() {}, info() {}, warn: (message: string) => void warnings.push(message), error() {} };
    const groupId = uniqueName('static');
    const member = (options: { readonly groupInstanceId?: string }): KafkaConsumer =>
      kafka.consumer({ groupId, groupProtocol: 'classic', clock: systemClock, logger, ...options });
    const other = member({});
    const leaving = member({ groupInstanceId: 'leaving' });
    try {
      for (const one of [other, leaving]) await one.connect({ timeoutMs: 10_000 });
      const told = async (type: AssignmentEvent['type']): Promise<readonly TopicPartition[]> => {
        for (;;)
          for (const event of (await other.poll(1, 100)).events) if (event.type === type) return event.partitions;
      };
      other.subscribe([topic]);
      other.assign((await told('assigned')).map((partition) => ({ ...partition, offset: 0 })));
      leaving.subscribe([topic]);
      // From here on the group waits for it.
      const revoked = await told('revoked');
      await leaving.close({ leaveGroup: true });
      expect(warnings).toEqual([expect.stringContaining('a static member could not leave its group')]);
      other.release(revoked);
    } finally {
      await Promise.all([other, leaving].map((one) => one.close()));
    }
  }, 60_000);
});
