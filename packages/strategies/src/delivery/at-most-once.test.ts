import { describe, expect, it } from '@jest/globals';
import type { CommonWorkerOptions, FailurePolicy, Logger, ReceivedRecord, WorkerSummary } from '@kafka-worker/core';
import { CommitError, InvalidOptionError, Worker } from '@kafka-worker/core';
import { type FakeKafka, type FakeKafkaOptions, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezeKey, freezePartition, perKey, perPartition, retry, skip, stop } from '../index.ts';
import { atMostOnce } from './at-most-once.ts';

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

const at = (partition: number): { topic: string; partition: number } => ({ topic: 't', partition });

/** A worker that promises at most once, and what its handlers do: by `partition@offset`. */
class Trial {
  readonly kafka: FakeKafka;
  readonly handled: string[] = [];
  readonly errors: [string, unknown][] = [];
  readonly failing = new Set<string>();
  readonly commits: string[] = [];
  readonly broken: string[] = [];
  readonly #waiting = new Map<string, () => void>();
  held = false;
  #worker: Worker | undefined;

  constructor(records: readonly number[], atAwait: FakeKafkaOptions['atAwait'] = () => {}) {
    this.kafka = fakeKafka({
      topics: { t: { partitions: records.length } },
      atAwait: (call) => {
        if (call.operation === 'commit')
          this.commits.push(...(call.offsets ?? []).map(({ partition, offset }) => `${partition}@${offset}`));
        atAwait(call);
      },
    });
    for (const [partition, count] of records.entries()) this.send(partition, count);
  }

  send(partition: number, count: number): void {
    this.kafka.send(Array.from({ length: count }, (_, i) => ({ ...at(partition), key: `${i}`, value: `${i}` })));
  }

  async start(rest: Rest = {}): Promise<Worker> {
    const logger: Logger = {
      ...{ debug() {}, info() {}, warn() {} },
      error: (message, fields) => void this.errors.push([message, fields]),
    };
    const worker = new Worker({
      ...{ kafka: this.kafka, groupId: 'g', topics: 't', clock: this.kafka.clock, logger, random: () => 0.5 },
      ...{ delivery: atMostOnce(), onFailure: skip({ log: false }) },
      handler: async ({ partition, offset }) => {
        const name = `${partition}@${offset}`;
        const committed = this.kafka.committed('g', 't').get(partition) ?? 0;
        if (committed <= offset) this.broken.push(`${name} is handled, and committed is ${committed}`);
        this.handled.push(name);
        if (this.held) await new Promise<void>((resolve) => void this.#waiting.set(name, resolve));
        if (this.failing.has(name)) throw new Error(`${name} fails`);
      },
      ...rest,
    });
    worker.finished.catch(() => {});
    this.#worker = worker;
    const started = worker.start();
    await this.kafka.clock.advance(10);
    await started;
    return worker;
  }

  get worker(): Worker {
    if (this.#worker === undefined) throw new Error('not started');
    return this.#worker;
  }

  async open(...names: string[]): Promise<void> {
    for (const name of names) this.#waiting.get(name)?.();
    await this.kafka.clock.settle();
  }

  async stop(options: Parameters<Worker['stop']>[0] = { timeoutMs: 5_000 }): Promise<WorkerSummary> {
    const stopping = this.worker.stop(options);
    await this.kafka.clock.advance(60_000);
    return stopping;
  }
}

describe('atMostOnce', () => {
  it("says of what was polled no leader's epoch that is only known of what is below", async () => {
    const epochs: (number | undefined)[] = [];
    const trial = new Trial([3], ({ operation, offsets = [] }) => {
      if (operation === 'commit') epochs.push(...offsets.map(({ leaderEpoch }) => leaderEpoch));
    });
    trial.kafka.group('g').setCommitted([{ ...at(0), offset: 1, leaderEpoch: 4 }]);
    await trial.start();
    await trial.kafka.clock.advance(100);
    expect([trial.handled, trial.commits, epochs]).toEqual([['0@1', '0@2'], ['0@3'], [undefined]]);
    await trial.stop();
  });

  it('has the commit of what was polled acknowledged before any of it is handled', async () => {
    const trial = new Trial([3]);
    const hold = trial.kafka.hold('commit-answer');
    await trial.start();
    await trial.kafka.clock.advance(100);
    // Its start first, then what was polled.
    hold.release();
    const chunk = trial.kafka.hold('commit-answer');
    await trial.kafka.clock.advance(5_000);
    expect(trial.kafka.committed('g', 't').get(0)).toBe(3);
    expect(trial.handled).toEqual([]);
    chunk.release();
    await trial.kafka.clock.advance(100);
    expect(trial.handled).toEqual(['0@0', '0@1', '0@2']);
    trial.send(0, 2);
    await trial.kafka.clock.advance(2_000);
    expect(trial.handled.slice(3)).toEqual(['0@3', '0@4']);
    expect(trial.commits).toEqual(['0@0', '0@3', '0@5']);
    expect(await trial.stop()).toMatchObject({ state: 'stopped', handled: 5, left: [] });
    expect(trial.broken).toEqual([]);
  });

  it.each([
    ['fails for a while', 7, true],
    ['meets a rebalance', 27, false],
    ['is of a generation that is over', 22, false],
  ])('handles nothing whose commit %s, and everything once in the end', async (_what, kafkaCode, retriable) => {
    const trial = new Trial([3, 2]);
    await trial.start();
    await trial.kafka.clock.advance(1_000);
    const before = trial.handled.length;
    trial.kafka.failCommits(3, { kafkaCode, retriable });
    trial.send(0, 2);
    trial.send(1, 2);
    await trial.kafka.clock.advance(100);
    expect(trial.handled).toHaveLength(before);
    await trial.kafka.clock.advance(20_000);
    expect([...trial.handled].sort()).toEqual(['0@0', '0@1', '0@2', '0@3', '0@4', '1@0', '1@1', '1@2', '1@3']);
    expect((await trial.stop()).state).toBe('stopped');
    expect(trial.broken).toEqual([]);
  });

  it('handles nothing whose commit was lost on its way back, until it is acknowledged', async () => {
    const trial = new Trial([2]);
    await trial.start();
    await trial.kafka.clock.advance(1_000);
    trial.kafka.fail('commit-answer', 2, ({ offsets = [] }) => {
      const failures = offsets.map((next) => ({ ...next, kafkaCode: 7, reason: 'lost' }));
      return new CommitError(failures, { retriable: true });
    });
    trial.send(0, 2);
    await trial.kafka.clock.advance(10_000);
    expect(trial.handled).toEqual(['0@0', '0@1', '0@2', '0@3']);
    await trial.stop();
    expect(trial.broken).toEqual([]);
  });

  it('handles those partitions of a poll whose part of the commit was accepted', async () => {
    const trial = new Trial([1, 1]);
    await trial.start();
    await trial.kafka.clock.advance(1_000);
    let isRefused = true;
    trial.kafka.fail('commit', 1, ({ offsets = [] }) => {
      isRefused = false;
      const failures = offsets
        .filter(({ partition }) => partition === 0)
        .map((next) => ({ ...next, kafkaCode: 7, reason: 'no' }));
      return new CommitError(failures, { retriable: true });
    });
    // The fake stores nothing of a refused commit, so what counts here is what is asked for.
    trial.send(0, 1);
    trial.send(1, 1);
    await trial.kafka.clock.advance(5_000);
    expect(isRefused).toBe(false);
    expect([...trial.handled].sort()).toEqual(['0@0', '0@1', '1@0', '1@1']);
    await trial.stop();
  });

  it('ends the worker when a commit is refused for good, and hands nothing to the handler', async () => {
    const trial = new Trial([0]);
    await trial.start();
    trial.kafka.failCommits(1, { kafkaCode: 29, retriable: false });
    trial.send(0, 2);
    await trial.kafka.clock.advance(2_000);
    expect(await trial.stop()).toMatchObject({ state: 'failed', error: { code: 'COMMIT' }, handled: 0 });
    expect(trial.handled).toEqual([]);
  });

  it('never takes progress back: a commit of a position waits for the one of a chunk', async () => {
    const trial = new Trial([1, 1]);
    trial.held = true;
    await trial.start();
    // Partition 1 keeps a record, so that there is no pause in which everything is committed at once.
    await trial.open('0@0');
    trial.held = false;
    await trial.kafka.clock.advance(1_000);
    // A marker of a transaction: the position moves without a record.
    trial.kafka.appendGap(at(0), 1);
    await trial.kafka.clock.advance(5);
    const hold = trial.kafka.hold('commit-answer');
    trial.send(0, 3);
    await trial.kafka.clock.advance(5_000);
    hold.release();
    await trial.kafka.clock.advance(5_000);
    const ofFirst = trial.commits.filter((commit) => commit.startsWith('0@'));
    const offsets = ofFirst.map((commit) => Number(commit.split('@')[1]));
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(trial.kafka.committed('g', 't').get(0)).toBe(5);
    await trial.open('1@0');
    expect((await trial.stop()).state).toBe('stopped');
    expect(trial.broken).toEqual([]);
  });

  it.each(['in-flight', 'drain'] as const)(
    'handles what it has committed before it stops (%s), with its retries',
    async (mode) => {
      const trial = new Trial([3]);
      const onFailure = retry({ maxAttempts: 3, backoff: { initialMs: 500, jitter: 0 }, then: skip({ log: false }) });
      trial.failing.add('0@1');
      trial.held = true;
      await trial.start({ onFailure });
      await trial.kafka.clock.advance(100);
      const stopping = trial.worker.stop({ mode, timeoutMs: 10_000 });
      trial.held = false;
      trial.send(0, 1);
      await trial.open('0@0');
      await trial.kafka.clock.advance(30_000);
      expect(await stopping).toMatchObject({ state: 'stopped', handled: 2, failed: 1, left: [] });
      expect(trial.handled).toEqual(['0@0', '0@1', '0@1', '0@1', '0@2']);
      expect(trial.errors).toEqual([]);
    },
  );

  it('says what a stop has to leave', async () => {
    const trial = new Trial([3, 1]);
    trial.held = true;
    await trial.start();
    await trial.kafka.clock.advance(100);
    await trial.open('1@0');
    const summary = await trial.stop({ timeoutMs: 1_000 });
    expect(summary).toMatchObject({
      state: 'failed',
      error: { code: 'SHUTDOWN_TIMEOUT' },
      left: [{ ...at(0), offset: 0 }],
    });
    expect(trial.errors).toContainEqual([
      'records that were committed before they were handled are lost',
      { ...at(0), offset: 0 },
    ]);
    expect(trial.handled.filter((name) => name.startsWith('0'))).toEqual(['0@0']);
    await trial.open('0@0');
    await trial.kafka.clock.advance(10_000);
    // Not even when it returns late.
    expect(trial.handled.filter((name) => name.startsWith('0'))).toEqual(['0@0']);
  });

  it('handles what it has committed before it gives a partition away, and the next owner gets the rest', async () => {
    const trial = new Trial([3, 1]);
    trial.held = true;
    await trial.start();
    await trial.kafka.clock.advance(100);
    trial.kafka.group('g').revoke([at(0)]);
    await trial.kafka.clock.advance(100);
    // Too late for this owner.
    trial.send(0, 2);
    trial.held = false;
    await trial.kafka.clock.advance(1_000);
    expect(trial.kafka.group('g').assignment()).toContainEqual(at(0));
    await trial.open('0@0', '1@0');
    await trial.kafka.clock.advance(100);
    expect(trial.kafka.group('g').assignment()).toEqual([at(1)]);
    expect(trial.handled.filter((name) => name.startsWith('0'))).toEqual(['0@0', '0@1', '0@2']);
    expect(trial.kafka.committed('g', 't').get(0)).toBe(3);
    trial.kafka.group('g').rebalance();
    await trial.kafka.clock.advance(2_000);
    expect(trial.handled.filter((name) => name.startsWith('0')).slice(3)).toEqual(['0@3', '0@4']);
    expect(trial.errors).toEqual([]);
    await trial.stop();
    expect(trial.broken).toEqual([]);
  });

  it('says what a revocation, or a loss, takes away unhandled', async () => {
    for (const how of ['revoke', 'lose'] as const) {
      const trial = new Trial([3]);
      trial.held = true;
      await trial.start({ revokeDrainMs: 1_000, onStuckHandler: 'release', stuckAfterMs: 100 });
      await trial.kafka.clock.advance(100);
      trial.kafka.group('g')[how]([at(0)]);
      await trial.kafka.clock.advance(10_000);
      expect(trial.kafka.group('g').assignment()).toEqual([]);
      expect(trial.errors).toContainEqual([
        'records that were committed before they were handled are lost with their partition',
        { ...at(0), records: 3, firstOffset: 0 },
      ]);
      trial.held = false;
      trial.kafka.group('g').rebalance();
      await trial.kafka.clock.advance(2_000);
      expect(trial.handled).toEqual(['0@0']);
      await trial.open('0@0');
      await trial.stop();
    }
  });

  it('starts where a seek says, forward and back', async () => {
    const trial = new Trial([5]);
    await trial.start();
    await trial.kafka.clock.advance(1_000);
    for (const to of [1, 4]) {
      const sought = trial.worker.seek(at(0), to);
      await trial.kafka.clock.advance(2_000);
      await sought;
    }
    expect(trial.handled).toEqual(['0@0', '0@1', '0@2', '0@3', '0@4', '0@1', '0@2', '0@3', '0@4', '0@4']);
    expect(trial.kafka.committed('g', 't').get(0)).toBe(5);
    await trial.stop();
    expect(trial.broken).toEqual([]);
  });

  it('handles a chunk whose commit is under way when it is stopped', async () => {
    const trial = new Trial([0]);
    await trial.start();
    await trial.kafka.clock.advance(3_000);
    const hold = trial.kafka.hold('commit-answer');
    trial.send(0, 2);
    await trial.kafka.clock.advance(50);
    expect(trial.kafka.committed('g', 't').get(0)).toBe(2);
    const stopping = trial.worker.stop();
    await trial.kafka.clock.advance(100);
    hold.release();
    await trial.kafka.clock.advance(60_000);
    expect(await stopping).toMatchObject({ state: 'stopped', handled: 2, left: [] });
    expect(trial.handled).toEqual(['0@0', '0@1']);
    expect(trial.errors).toEqual([]);
    expect(trial.broken).toEqual([]);
  });

  it('says what is lost of a chunk that brokers acknowledge after the time of a stop is up', async () => {
    const trial = new Trial([0]);
    await trial.start();
    await trial.kafka.clock.advance(3_000);
    const hold = trial.kafka.hold('commit');
    trial.send(0, 2);
    await trial.kafka.clock.advance(50);
    expect(await trial.stop({ timeoutMs: 1_000 })).toMatchObject({ error: { code: 'SHUTDOWN_TIMEOUT' }, handled: 0 });
    hold.release();
    await trial.kafka.clock.advance(60_000);
    expect(trial.handled).toEqual([]);
    expect(trial.kafka.committed('g', 't').get(0)).toBe(2);
    expect(trial.errors).toContainEqual([
      'records that were committed before they were handled are lost',
      { ...at(0), firstOffset: 0, nextOffset: 2 },
    ]);
    expect(trial.kafka.clock.pendingTimers).toBe(0);
  });

  it('never takes progress back for a record that is polled again', async () => {
    const trial = new Trial([4]);
    const consumer = trial.kafka.consumer.bind(trial.kafka);
    const polled: ReceivedRecord[] = [];
    let isRepeated = false;
    const repeating: FakeKafka = Object.assign(Object.create(trial.kafka) as FakeKafka, {
      consumer: (options: Parameters<typeof consumer>[0]) => {
        const own = consumer(options);
        const poll = own.poll.bind(own);
        own.poll = async (...given) => {
          const found = await poll(...given);
          polled.push(...found.records);
          if (!isRepeated) return found;
          isRepeated = false;
          return { ...found, records: polled.slice(0, 1) };
        };
        return own;
      },
    });
    await trial.start({ kafka: repeating });
    await trial.kafka.clock.advance(3_000);
    isRepeated = true;
    await trial.kafka.clock.advance(3_000);
    expect(isRepeated).toBe(false);
    expect(trial.handled).toEqual(['0@0', '0@1', '0@2', '0@3']);
    expect(trial.commits).toEqual(['0@0', '0@4']);
    await trial.stop();
    expect(trial.broken).toEqual([]);
  });

  describe('while what it has committed of a partition is still being handled', () => {
    /** Its first record runs, the others wait. */
    async function startHeld(): Promise<Trial> {
      const trial = new Trial([3, 0]);
      trial.held = true;
      await trial.start({ concurrency: perPartition() });
      await trial.kafka.clock.advance(100);
      trial.held = false;
      return trial;
    }

    it('refuses to seek a revoked partition, whose next owner would go back to the seek', async () => {
      const trial = await startHeld();
      trial.kafka.group('g').revoke([at(0)]);
      await trial.kafka.clock.advance(100);
      await expect(trial.worker.seek(at(0), 1)).rejects.toMatchObject({ code: 'ILLEGAL_STATE' });
      await trial.open('0@0');
      await trial.kafka.clock.advance(2_000);
      expect(trial.handled).toEqual(['0@0', '0@1', '0@2']);
      expect(trial.kafka.group('g').assignment()).toEqual([at(1)]);
      expect(trial.worker.status().partitions).toMatchObject([at(1)]);
      await trial.stop();
      expect(trial.broken).toEqual([]);
    });

    it.each(['revoked', 'stopped'])('a pause comes too late, once it is %s', async (how) => {
      const trial = await startHeld();
      if (how === 'revoked') trial.kafka.group('g').revoke([at(0)]);
      else void trial.worker.stop();
      await trial.kafka.clock.advance(100);
      trial.worker.pause();
      await trial.open('0@0');
      await trial.kafka.clock.advance(30_000);
      expect(trial.handled).toEqual(['0@0', '0@1', '0@2']);
      expect(trial.errors).toEqual([]);
      expect((await trial.stop()).left).toEqual([]);
    });
  });

  describe('and failures', () => {
    const base = { groupId: 'g', topics: 't', handler: () => {}, concurrency: perKey(), kafka: new Trial([0]).kafka };
    const refused: [string, FailurePolicy][] = [
      ['freeze-partition', freezePartition()],
      ['freeze-key', freezeKey()],
      ['dead-letter', deadLetter({ topic: 'dead' })],
      ['freeze-partition', retry({ then: freezePartition() })],
      ['dead-letter', retry({ then: retry({ then: deadLetter({ topic: 'dead' }) }) })],
    ];

    it.each(refused)('refuses %s, where a crash would lose the record all the same', (action, onFailure) => {
      const make = (): Worker => new Worker({ ...base, onFailure, delivery: atMostOnce() });
      expect(make).toThrow(InvalidOptionError);
      expect(make).toThrow(`onFailure: expected a policy that never decides ${action} under atMostOnce`);
      expect(() => new Worker({ ...base, onFailure, delivery: atMostOnce({ acceptLoss: true }) })).not.toThrow();
    });

    it.each([skip(), stop(), retry({ then: stop() })])('takes %j', (onFailure) => {
      expect(() => new Worker({ ...base, onFailure, delivery: atMostOnce() })).not.toThrow();
    });

    it('ends the worker when a policy that does not say what it may decides one of them', async () => {
      const trial = new Trial([1]);
      trial.failing.add('0@0');
      await trial.start({
        onFailure: { kind: 'failure', name: 'own', decide: () => ({ do: 'freeze', scope: 'partition' }) },
      });
      expect(await trial.stop()).toMatchObject({ state: 'failed', error: { code: 'HANDLER' } });
      expect(trial.errors[0]?.[0]).toContain('said freeze-partition under atMostOnce');
    });

    it.each([
      ['acceptLoss', { acceptLoss: 'yes' }],
      ['acceptLos', { acceptLos: true }],
    ])('has no %s of %j', (_option, options) => {
      expect(() => atMostOnce(options as never)).toThrow(InvalidOptionError);
    });

    it('does not wait for what is frozen when the loss is accepted, neither at a revocation nor at a stop', async () => {
      for (const [onFailure, key] of [
        [freezePartition(), undefined],
        [freezeKey(), '0'],
      ] as const) {
        const trial = new Trial([3]);
        trial.failing.add('0@0');
        await trial.start({ onFailure, delivery: atMostOnce({ acceptLoss: true }), concurrency: perKey() });
        await trial.kafka.clock.advance(100);
        const startedAt = trial.kafka.clock.now();
        let revokedAt = 0;
        trial.worker.on('revoked', () => {
          revokedAt = trial.kafka.clock.now();
        });
        expect(trial.worker.status().partitions[0]?.frozen).toHaveLength(1);
        trial.kafka.group('g').revoke([at(0)]);
        await trial.kafka.clock.advance(60_000);
        expect(revokedAt - startedAt).toBeLessThan(2_000);
        expect(key === undefined || trial.handled.length === 3).toBe(true);
        expect((await trial.stop()).state).toBe('stopped');
      }
    });

    it('waits for a dead letter that has to be written again when the loss is accepted', async () => {
      const trial = new Trial([2]);
      trial.kafka.createTopic('dead');
      trial.failing.add('0@0');
      trial.kafka.failSends(2);
      const onFailure = deadLetter({ topic: 'dead' });
      await trial.start({ onFailure, delivery: atMostOnce({ acceptLoss: true }) });
      expect(await trial.stop({ timeoutMs: 20_000 })).toMatchObject({ state: 'stopped', left: [] });
      expect(trial.kafka.records('dead')).toHaveLength(1);
      expect(trial.handled).toEqual(['0@0', '0@1']);
    });
  });
});
