import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { LaneRule } from './concurrency.ts';
import { deadLetterHeaders } from './dead-letter-message.ts';
import { CommitError, ProduceError, ShutdownTimeoutError } from './errors.ts';
import type { Decision, Failure, FailurePolicy } from './failure.ts';
import { HandlerError } from './handler-errors.ts';
import type { NextOffset } from './record.ts';
import { chunkedKafka } from './testing/chunked-kafka.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { laneStrategy, lanes } from './testing/stage.ts';
import { Worker } from './worker.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const PARTITIONS = 3;

/** What becomes of a record: how long its calls take, in how many it fails, and what the policy says about that. */
const behaviour = fc.record({
  durationMs: fc.constantFrom(0, 0, 1, 20, 400),
  failures: fc.constantFrom(0, 0, 1, 2, 100),
  decision: fc.constantFrom('skip', 'retry', 'dead-letter', 'freeze-partition', 'freeze-key', 'stop'),
});
const partition = fc.nat(PARTITIONS - 1);
/** At once, or when so many more calls have gone to the cluster. */
const calls = fc.option(fc.nat(5));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 50, 300, 1_500) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const), partition, records: fc.nat(12) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('unfreeze' as const), which: fc.nat(5), skip: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('pause' as const, 'resume' as const),
      ...{ partition: fc.option(partition), calls },
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('revoke' as const, 'lose' as const, 'seek' as const, 'seek' as const),
      ...{ partition, calls },
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('rebalance' as const, 'kick' as const, 'restart' as const) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('send' as const, 'send-answer' as const).map((operation) => `fail-${operation}` as const),
      times: fc.integer({ min: 1, max: 3 }),
      retriable: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), ms: fc.constantFrom(100, 3_000) }) },
);
const plan = fc.record({
  rule: fc.constantFrom<LaneRule>(lanes.serial, lanes.perPartition, lanes.perKey, lanes.parallel, {
    by: 'partition',
    active: 2,
    turn: { maxRecords: 3, maxMs: 50 },
    inside: { by: 'key', active: 2, inside: { width: 1 } },
  }),
  batch: fc.option(fc.record({ maxRecords: fc.constantFrom(1, 3), maxWaitMs: fc.constantFrom(0, 20) })),
  failsAlone: fc.boolean(),
  limits: fc.record({
    inFlightRecords: fc.constantFrom(3, 10, 10_000),
    inFlightBytes: fc.constantFrom(600, 2_000, 1_000_000),
    aheadOfFrontier: fc.constantFrom(5, 50_000),
  }),
  /** How many records of a partition share the memory that they came in; null for none. */
  chunkRecords: fc.option(fc.constantFrom(1, 4, 100)),
  behaviours: fc.array(behaviour, { minLength: 1, maxLength: 7 }),
  steps: fc.array(step, { maxLength: 30, size: 'max' }),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;
type Step = Plan['steps'][number];

/** One worker after the other on a cluster, and what must hold all the time. */
class World {
  readonly kafka: FakeKafka;
  readonly broken: string[] = [];
  readonly #plan: Plan;
  readonly #finished = new Set<string>();
  readonly #calls = new Map<string, number>();
  /** By lane: what began last, and what runs. */
  readonly #order = new Map<string, { last: number; running: number }>();
  /** Their lanes have gone back, and what ran then may still run. */
  readonly #sought = new Set<number>();
  /** What happens while a call is on its way. */
  #due: { calls: number; readonly action: Step }[] = [];
  #isHealed = false;
  #worker: Worker | undefined;

  constructor(given: Plan) {
    this.#plan = given;
    this.kafka = fakeKafka({
      topics: { t: { partitions: PARTITIONS }, dead: { partitions: 1 } },
      atAwait: ({ operation, offsets = [] }) => {
        if (operation === 'commit') for (const next of offsets) this.#checkCommit(next);
        const now = this.#due.filter((one) => one.calls-- <= 0);
        this.#due = this.#due.filter((one) => !now.includes(one));
        if (this.worker.state === 'running') for (const { action } of now) void this.#take(action);
      },
    });
  }

  get worker(): Worker {
    if (this.#worker === undefined) throw new Error('no worker was started');
    return this.#worker;
  }

  async start(): Promise<void> {
    const { rule, batch, limits, failsAlone, chunkRecords } = this.#plan;
    this.#order.clear();
    const common = {
      kafka: chunkRecords === null ? this.kafka : chunkedKafka(this.kafka, chunkRecords),
      ...{ groupId: 'g', topics: 't', clock: this.kafka.clock, logger: quiet, random: () => 0.5 },
      ...{ concurrency: laneStrategy(rule), limits, onFailure: this.#policy(), revokeDrainMs: 1_000 },
    };
    const worker =
      batch === null
        ? new Worker({ ...common, handler: (record, { attempt }) => this.#handle([record], attempt, undefined) })
        : new Worker({
            ...{ ...common, batch },
            batchHandler: (records, { attempt, fail }) => this.#handle(records, attempt, failsAlone ? fail : undefined),
          });
    worker.on('assigned', ({ partitions }) => this.#forget(partitions));
    worker.on('settled', ({ record, outcome }) => {
      const name = nameOf(record);
      if (outcome === 'dead-lettered' && !this.#isDead(record)) this.broken.push(`${name} has no dead letter`);
      this.#finished.add(name);
    });
    worker.finished.catch((error: unknown) => {
      const isExpected = [HandlerError, ShutdownTimeoutError, CommitError].some((type) => error instanceof type);
      if (!isExpected) this.broken.push(`a worker failed: ${error}`);
    });
    this.#worker = worker;
    worker.start().catch(() => {});
    await this.kafka.clock.settle();
  }

  async take(action: Step): Promise<void> {
    if ('calls' in action && action.calls !== null) this.#due.push({ calls: action.calls, action });
    else await this.#take(action);
  }

  async #take(action: Step): Promise<void> {
    const { kafka, worker } = this;
    const group = kafka.group('g');
    switch (action.do) {
      case 'wait':
        return kafka.clock.advance(action.ms);
      case 'send':
        kafka.send(
          Array.from({ length: action.records }, (_, i) => ({
            topic: 't',
            partition: action.partition,
            key: i % 4 === 3 ? null : `${i % 4}`,
            value: '',
          })),
        );
        return;
      case 'unfreeze': {
        const frozen = worker.status().partitions.flatMap((one) => one.frozen.map((at) => ({ ...one, ...at })));
        const one = frozen[action.which % Math.max(1, frozen.length)];
        if (one !== undefined) await this.#unfreeze(one, action.skip);
        return;
      }
      case 'pause':
      case 'resume':
        worker[action.do](action.partition === null ? undefined : [{ topic: 't', partition: action.partition }]);
        return;
      case 'revoke':
      case 'lose':
        if (group.size > 0) {
          const owned = group.assignment().filter((one) => one.partition === action.partition);
          const how = action.do;
          ignoreRefusal(() => group[how](owned));
        }
        return;
      case 'seek': {
        const one = worker.status().partitions.find((owned) => owned.partition === action.partition);
        if (one === undefined) return;
        // Back to what is not finished: everything behind it comes again.
        this.#sought.add(action.partition);
        worker.seek(one, one.nextOffset).catch(() => {});
        return;
      }
      case 'rebalance':
        return group.rebalance();
      case 'kick':
        if (group.size > 0) group.kick();
        return;
      case 'restart':
        await this.stop();
        return this.start();
      case 'fail-send':
      case 'fail-send-answer':
        return kafka.fail(
          action.do === 'fail-send' ? 'send' : 'send-answer',
          action.times,
          () => new ProduceError('dead', 'no', { retriable: action.retriable }),
        );
      case 'outage':
        kafka.clock.setTimeout(kafka.outage(), action.ms);
    }
  }

  /** Calm weather: nothing fails any more, and everything that was sent has to be finished and committed. */
  async finish(): Promise<void> {
    this.#isHealed = true;
    this.#due = [];
    await this.kafka.clock.advance(5_000);
    for (let rounds = 0; rounds < 1_000 && !this.#isAllCommitted(); rounds++) {
      if (this.worker.state !== 'running' && this.worker.state !== 'starting') {
        await this.stop();
        await this.start();
      }
      this.kafka.group('g').rebalance();
      this.worker.resume();
      for (const one of this.worker.status().partitions)
        for (const at of one.frozen) await this.#unfreeze({ ...one, ...at }, false);
      await this.kafka.clock.advance(1_000);
    }
    for (const { partition: number, offset } of this.kafka.records('t')) {
      if (!this.#finished.has(`${number}@${offset}`)) this.broken.push(`lost: ${number}@${offset}`);
    }
    if (!this.#isAllCommitted()) this.broken.push('not everything is committed');
    const { inFlightRecords, inFlightBytes } = this.worker.status();
    if (inFlightRecords !== 0 || inFlightBytes !== 0)
      this.broken.push(`${inFlightRecords} records (${inFlightBytes} bytes) are left in flight`);
    await this.stop();
    if (this.kafka.clock.pendingTimers > 0) this.broken.push(`${this.kafka.clock.pendingTimers} timers are left`);
  }

  async stop(): Promise<void> {
    let hasEnded = false;
    void this.worker.stop({ timeoutMs: 500 }).then(() => {
      hasEnded = true;
    });
    await this.kafka.clock.advance(90_000);
    if (!hasEnded) this.broken.push('a stop did not end');
  }

  async #unfreeze(
    one: NextOffset & { readonly scope: string; readonly key: string | null },
    skip: boolean,
  ): Promise<void> {
    const { topic, partition: number, scope, key } = one;
    await this.worker.unfreeze({ topic, partition: number, skip, ...(scope === 'key' ? { key } : {}) }).catch(() => {});
  }

  #policy(): FailurePolicy {
    const hasKeyLanes = this.#plan.rule.by === 'key' || !('width' in this.#plan.rule.inside);
    const decisions: Record<string, Decision> = {
      skip: { do: 'skip' },
      retry: { do: 'retry', afterMs: 30 },
      'dead-letter': { do: 'dead-letter', topic: 'dead', brake: false },
      'freeze-partition': { do: 'freeze', scope: 'partition' },
      'freeze-key': { do: 'freeze', scope: hasKeyLanes ? 'key' : 'partition' },
      stop: { do: 'stop' },
    };
    const decide = ({ record }: Failure): Decision => decisions[this.#behaviour(record).decision] ?? { do: 'stop' };
    return { kind: 'failure', name: 'mixed', decide };
  }

  async #handle(
    records: readonly (NextOffset & { readonly key: Buffer | null })[],
    attempt: number,
    fail: ((record: never, error: unknown) => void) | undefined,
  ): Promise<void> {
    const ordered = this.#lanesOf(records);
    const begun = [...ordered].map(([lane, offsets]) => this.#began(lane, offsets, attempt));
    try {
      const failed: NextOffset[] = [];
      for (const record of records) {
        const { durationMs, failures } = this.#behaviour(record);
        const call = this.#calls.get(nameOf(record)) ?? 0;
        this.#calls.set(nameOf(record), call + 1);
        if (durationMs > 0) await new Promise<void>((resolve) => void this.kafka.clock.setTimeout(resolve, durationMs));
        if (!this.#isHealed && call < failures) failed.push(record);
      }
      if (failed.length > 0 && fail === undefined) throw new Error(`${failed.map(nameOf).join(' ')} failed`);
      for (const record of failed) fail?.(record as never, new Error(`${nameOf(record)} failed alone`));
      for (const record of records) if (!failed.includes(record)) this.#finished.add(nameOf(record));
    } finally {
      for (const order of begun) order.running--;
    }
  }

  /** Which ordered lanes a call has records of, as far as they are of one partition. */
  #lanesOf(records: readonly (NextOffset & { readonly key: Buffer | null })[]): Map<string, number[]> {
    const { rule } = this.#plan;
    const found = new Map<string, number[]>();
    if (rule === lanes.parallel) return found;
    const isByKey = rule.by === 'key' || !('width' in rule.inside);
    for (const { partition: number, offset, key } of records) {
      if (isByKey && key === null) continue;
      const lane = `${number}${isByKey ? ` ${String(key)}` : ''}`;
      found.set(lane, [...(found.get(lane) ?? []), offset]);
    }
    return found;
  }

  #began(lane: string, offsets: readonly number[], attempt: number): { running: number } {
    const isSought = this.#sought.has(Number(lane.split(' ')[0]));
    const order = this.#order.get(lane) ?? { last: -1, running: 0 };
    this.#order.set(lane, order);
    if (order.running > 0 && !isSought) this.broken.push(`two calls of lane ${lane} at once`);
    order.running++;
    const sorted = offsets.every((offset, i) => i === 0 || offset > (offsets[i - 1] ?? 0));
    if (!sorted) this.broken.push(`lane ${lane} has ${offsets.join(' ')} in one call`);
    const first = offsets[0] ?? 0;
    // A batch that is tried again, or goes on without a record of it, begins where it was.
    const isAgain = attempt > 1 || this.#plan.batch !== null;
    if (first < order.last && !isAgain && !isSought)
      this.broken.push(`lane ${lane} goes back from ${order.last} to ${first}`);
    const unfinished = this.kafka
      .records('t')
      .filter(
        (record) => this.#laneOf(record) === lane && record.offset < first && !this.#finished.has(nameOf(record)),
      );
    const committed = this.kafka.committed('g', 't').get(Number(lane.split(' ')[0])) ?? 0;
    for (const { offset } of unfinished)
      if (offset >= committed) this.broken.push(`${first} of lane ${lane} overtakes ${offset}`);
    order.last = Math.max(order.last, ...offsets);
    return order;
  }

  #laneOf(record: NextOffset & { readonly key: Buffer | null }): string | undefined {
    return [...this.#lanesOf([record]).keys()][0];
  }

  #forget(partitions: readonly { readonly partition: number }[]): void {
    for (const lane of [...this.#order.keys()])
      if (partitions.some(({ partition: number }) => lane.split(' ')[0] === `${number}`)) this.#order.delete(lane);
  }

  #behaviour({
    partition: number,
    offset,
  }: {
    readonly partition: number;
    readonly offset: number;
  }): Plan['behaviours'][number] {
    const { behaviours } = this.#plan;
    return behaviours[(number * 5 + offset) % behaviours.length] as Plan['behaviours'][number];
  }

  #isDead({ partition: number, offset }: { readonly partition: number; readonly offset: number }): boolean {
    const { partition: ofPartition, offset: ofOffset } = deadLetterHeaders;
    return this.kafka
      .records('dead')
      .some(
        ({ headers }) =>
          String(headers.get(ofPartition)) === `${number}` && String(headers.get(ofOffset)) === `${offset}`,
      );
  }

  #checkCommit({ partition: number, offset }: NextOffset): void {
    for (const record of this.kafka.records('t')) {
      if (record.partition !== number || record.offset >= offset || this.#finished.has(nameOf(record))) continue;
      this.broken.push(`committed ${number} at ${offset} past unfinished ${record.offset}`);
    }
  }

  #isAllCommitted(): boolean {
    const committed = this.kafka.committed('g', 't');
    return this.kafka.records('t').every((record) => (committed.get(record.partition) ?? 0) > record.offset);
  }
}

function nameOf({ partition: number, offset }: { readonly partition: number; readonly offset: number }): string {
  return `${number}@${offset}`;
}

/** The fake refuses what makes no sense at the moment. */
function ignoreRefusal(action: () => void): void {
  try {
    action();
  } catch {}
}

describe('Failures of every kind, with freezing, pausing, and partitions that come and go', () => {
  it('lose no record, commit none that is not finished, have a dead letter for each that says so, and let none overtake another', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (given) => {
        const world = new World(given);
        await world.start();
        for (const action of given.steps) await world.take(action);
        await world.finish();
        expect(world.broken).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});
