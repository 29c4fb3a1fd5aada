import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { systemClock } from './clock.ts';
import { confluentKafka } from './confluent/index.ts';
import type { TopicPartition } from './record.ts';
import { TestClients, uniqueName } from './testing/cluster-under-test.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions } from './worker-options.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const MAX_POLL_INTERVAL_MS = 6_000;

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

/** The ways in which a group can move partitions. */
const protocols = [
  { protocol: 'classic, cooperative', groupProtocol: 'classic', librdkafka: {} },
  {
    protocol: 'classic, eager',
    groupProtocol: 'classic',
    librdkafka: { 'partition.assignment.strategy': 'range' },
  },
  { protocol: 'KIP-848', groupProtocol: 'consumer', librdkafka: {} },
] as const;
type Protocol = (typeof protocols)[number];

async function until(holds: () => boolean, what: string, timeoutMs = 25_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(10);
  }
}

/** Workers of one group on one topic of four partitions, and every call of theirs. */
class Group {
  readonly calls: { readonly worker: string; readonly name: string }[] = [];
  readonly #clients = new TestClients({
    cluster: confluentKafka({ brokers: (brokers ?? '').split(',') }),
    clock: systemClock,
    dispose: () => Promise.resolve(),
  });
  readonly #protocol: Protocol;
  readonly #groupId = uniqueName('group');
  readonly #workers: Worker[] = [];
  readonly #gates = new Map<string, { readonly passed: Promise<void>; readonly open: () => void }>();
  topic = '';

  static async with(protocol: Protocol, test: (group: Group) => Promise<void>): Promise<void> {
    const group = new Group(protocol);
    try {
      group.topic = await group.#clients.topic(4);
      for (let partition = 0; partition < 4; partition++) await group.#clients.sendNumbers(group.topic, partition, 3);
      await test(group);
    } finally {
      for (const gate of group.#gates.values()) gate.open();
      await Promise.all(group.#workers.map((worker) => worker.stop({ timeoutMs: 1_000 })));
      await group.#clients.close();
    }
  }

  constructor(protocol: Protocol) {
    this.#protocol = protocol;
  }

  /** The record's handler does not return until the returned function is called. */
  hold(name: string): () => void {
    let open = (): void => {};
    const passed = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gates.set(name, { passed, open });
    return open;
  }

  async start(name: string, rest: Rest = {}): Promise<Worker> {
    const { groupProtocol, librdkafka } = this.#protocol;
    // Under KIP-848 the session's time is the broker's.
    const session = groupProtocol === 'classic' ? { 'session.timeout.ms': 6_000 } : {};
    const worker = new Worker({
      kafka: confluentKafka({
        brokers: (brokers ?? '').split(','),
        librdkafka: { 'max.poll.interval.ms': MAX_POLL_INTERVAL_MS, ...session, ...librdkafka },
      }),
      ...{ groupId: this.#groupId, topics: this.topic, groupProtocol, logger: quiet, name, ...rest },
      handler: async ({ partition, offset }) => {
        this.calls.push({ worker: name, name: `${partition}@${offset}` });
        await this.#gates.get(`${partition}@${offset}`)?.passed;
      },
    });
    worker.finished.catch(() => {});
    this.#workers.push(worker);
    await worker.start();
    return worker;
  }

  /** Which worker handled it, in order. */
  callsOf(name: string): string[] {
    return this.calls.filter((call) => call.name === name).map(({ worker }) => worker);
  }

  get repeated(): string[] {
    const names = this.calls.map(({ name }) => name);
    return names.filter((name, i) => names.indexOf(name) !== i);
  }
}

const numbersOf = (partitions: readonly TopicPartition[]): number[] =>
  partitions.map(({ partition }) => partition).sort();

onRealKafka.each(protocols)('a rebalance on real Kafka: $protocol', (protocol) => {
  it('waits for a handler of a partition that moves, commits, tells the hooks, and repeats nothing', async () => {
    await Group.with(protocol, async (group) => {
      const log: string[] = [];
      const hooks = (worker: string): Rest => ({
        onAssigned: (partitions) => void log.push(...numbersOf(partitions).map((p) => `${worker} has ${p}`)),
        onRevoked: async (partitions, { lost }) => {
          await sleep(200);
          log.push(...numbersOf(partitions).map((p) => `${worker} ${lost ? 'lost' : 'gave'} ${p}`));
        },
      });
      // Whichever two of them move, one call of each runs.
      const open = [0, 1, 2, 3].map((partition) => group.hold(`${partition}@1`));
      const one = await group.start('one', hooks('one'));
      await until(() => group.calls.length === 8, 'the first calls');
      const two = await group.start('two', hooks('two'));
      await sleep(1_500);
      expect(log.filter((line) => line.startsWith('two'))).toEqual([]);
      for (const pass of open) pass();
      await until(() => group.calls.length >= 12, 'every record');
      await until(() => two.status().partitions.length === 2, 'the hand-over');
      await sleep(300);
      expect(group.repeated).toEqual([]);
      for (const { partition } of two.status().partitions) {
        expect(group.callsOf(`${partition}@1`)).toEqual(['one']);
        expect(log.indexOf(`one gave ${partition}`)).toBeGreaterThan(-1);
        expect(log.indexOf(`two has ${partition}`)).toBeGreaterThan(log.indexOf(`one gave ${partition}`));
      }
      expect(log.join()).not.toContain('lost');
      await Promise.all([one.stop(), two.stop()]);
      expect(log.filter((line) => line.includes('gave')).length).toBe(
        log.filter((line) => line.includes('has')).length,
      );
    });
  }, 60_000);

  it('gives the partition of a handler that ignores its signal to nobody before it has returned', async () => {
    await Group.with(protocol, async (group) => {
      const open = [0, 1, 2, 3].map((partition) => group.hold(`${partition}@0`));
      const one = await group.start('one', { revokeDrainMs: 300, stuckAfterMs: 300 });
      const stuck = new Set<number>();
      one.on('stuck', ({ partition }) => stuck.add(partition));
      await until(() => group.calls.length === 4, 'the first calls');
      const two = await group.start('two');
      await until(() => stuck.size >= 2, 'stuck handlers');
      await sleep(100);
      for (const [partition, pass] of open.entries()) if (!stuck.has(partition)) pass();
      await expect(one.finished).rejects.toMatchObject({ code: 'STUCK_HANDLER' });
      // Well within the time after which the broker expels a member that does not give back.
      await sleep(1_500);
      for (const partition of stuck) expect(group.callsOf(`${partition}@0`)).toEqual(['one']);
      for (const pass of open) pass();
      await until(() => two.status().partitions.length === 4, 'the hand-over');
      await until(() => new Set(group.calls.map(({ name }) => name)).size === 12, 'every record');
      await sleep(300);
      expect(group.repeated).toEqual([]);
      expect([0, 1, 2, 3].map((partition) => group.callsOf(`${partition}@0`))).toEqual(Array(4).fill(['one']));
    });
  }, 60_000);

  it('does not come from a handler that takes longer than max.poll.interval.ms', async () => {
    await Group.with(protocol, async (group) => {
      const open = group.hold('0@1');
      const one = await group.start('one');
      let revocations = 0;
      one.on('revoked', () => revocations++);
      await until(() => group.calls.length === 11, 'the other records');
      await sleep(1.5 * MAX_POLL_INTERVAL_MS);
      expect(one.health()).toMatchObject({ live: true, ready: true });
      open();
      await until(() => group.calls.length === 12, 'the last record');
      expect(await one.stop()).toMatchObject({ state: 'stopped', handled: 12, left: [] });
      expect([revocations, group.repeated]).toEqual([0, []]);
    });
  }, 60_000);
});
