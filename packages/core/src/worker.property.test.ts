import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { LaneRule } from './concurrency.ts';
import { CommitError, ShutdownTimeoutError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import { HandlerError } from './handler-errors.ts';
import type { NextOffset } from './record.ts';
import { retryPolicy } from './retry-policy.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { VirtualClock } from './testing/virtual-clock.ts';
import { Worker } from './worker.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const PARTITIONS = 3;
const skip: FailurePolicy = { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip' }) };

/** What the handler does with a record, call by call; after that it succeeds at once. */
interface Behaviour {
  readonly durationsMs: readonly number[];
  readonly failures: number;
}

type Step =
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'send'; readonly partition: number; readonly records: number; readonly gap: number }
  | { readonly do: 'revoke' | 'lose'; readonly who: number; readonly partition: number }
  | { readonly do: 'kick' | 'stop'; readonly who: number }
  | { readonly do: 'rebalance' | 'join' }
  | { readonly do: 'outage'; readonly ms: number }
  | { readonly do: 'fail-commits'; readonly times: number; readonly kafkaCode: number }
  | { readonly do: 'lose-answers'; readonly times: number };

const who = fc.nat(1);
const partition = fc.nat(PARTITIONS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 50, 300, 1_500) }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('send' as const), partition, records: fc.nat(12), gap: fc.nat(2) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'lose' as const), who, partition }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('kick' as const, 'stop' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('rebalance' as const, 'join' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), ms: fc.constantFrom(100, 3_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('fail-commits' as const),
      times: fc.integer({ min: 1, max: 3 }),
      kafkaCode: fc.constantFrom(7, 22, 25, 27),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose-answers' as const), times: fc.constantFrom(1, 2) }) },
);

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  durationsMs: fc.array(fc.constantFrom(0, 0, 1, 20, 400), { maxLength: 3 }),
  failures: fc.constantFrom(0, 0, 0, 1, 2),
});
const width = fc.constantFrom(1, 1, 3);
const lanes: fc.Arbitrary<LaneRule> = fc.oneof(
  fc.record({ by: fc.constant('all' as const), active: fc.constant(1), inside: fc.record({ width }) }),
  fc.record({
    by: fc.constant('partition' as const),
    active: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
    inside: fc.record({ width }),
  }),
  fc.constant<LaneRule>({
    by: 'partition',
    active: 2,
    inside: { by: (record) => `${record.offset % 3}`, active: 2, inside: { width: 1 } },
  }),
);
const limits = fc.record({
  inFlightRecords: fc.constantFrom(1, 5, 10_000),
  inFlightBytes: fc.constantFrom(1, 300, 64 * 1024 * 1024),
  aheadOfFrontier: fc.constantFrom(2, 10, 50_000),
});
const batch = fc.option(fc.record({ maxRecords: fc.constantFrom(1, 3), maxWaitMs: fc.constantFrom(0, 20) }));
const plan = fc.record({
  lanes,
  limits,
  batch,
  behaviours: fc.array(behaviour, { minLength: 1, maxLength: 7 }),
  isSkipping: fc.boolean(),
  steps: fc.array(step, { maxLength: 25, size: 'max' }),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

/** A cluster, up to two workers on it, and everything that must hold all the time. */
class World {
  readonly clock = new VirtualClock();
  readonly broken: string[] = [];
  /** Records whose handler has succeeded, or that were skipped, by anybody, as `partition@offset`. */
  readonly done = new Set<string>();
  readonly workers: Worker[] = [];
  readonly kafka: FakeKafka;
  readonly #plan: Plan;
  readonly #calls = new Map<string, number>();
  readonly #ended: Promise<unknown>[] = [];
  readonly #stopped = new Set<Worker>();

  constructor(given: Plan) {
    this.#plan = given;
    this.kafka = fakeKafka({
      clock: this.clock,
      topics: { t: { partitions: PARTITIONS } },
      atAwait: ({ operation, offsets = [] }) => {
        if (operation === 'commit') for (const next of offsets) this.#checkCommit(next);
      },
    });
  }

  async join(): Promise<void> {
    if (this.workers.filter(({ state }) => state === 'running' || state === 'starting').length >= 2) return;
    const { lanes: rule, limits: bounds, batch: batches, isSkipping } = this.#plan;
    const then = isSkipping ? skip : { ...skip, name: 'stop', decide: () => ({ do: 'stop' }) as const };
    const common = {
      ...{ kafka: this.kafka, groupId: 'g', topics: 't', clock: this.clock, logger: quiet, random: () => 0.5 },
      ...{ concurrency: { kind: 'concurrency', name: 'any', lanes: rule } as const, limits: bounds },
      onFailure: retryPolicy({ then, maxAttempts: isSkipping ? 2 : 9, backoff: { initialMs: 30 } }),
      revokeDrainMs: 200,
    };
    const order = new OrderOfCalls(rule, (message) => this.broken.push(message));
    const one = async (record: NextOffset, attempt: number): Promise<void> => {
      order.started(record, attempt);
      try {
        await this.#handle(record);
      } finally {
        order.ended(record);
      }
    };
    const worker =
      batches === null
        ? new Worker({ ...common, handler: (record, { attempt }) => one(record, attempt) })
        : new Worker({
            ...{ ...common, batch: batches },
            batchHandler: async (records) => {
              for (const record of records) await this.#handle(record);
            },
          });
    worker.on('assigned', ({ partitions }) => order.forget(partitions));
    worker.on('settled', ({ record, outcome }) => {
      if (outcome === 'skipped') this.done.add(nameOf(record));
    });
    this.workers.push(worker);
    this.#ended.push(
      worker.finished.then(
        () => undefined,
        (error: unknown) => {
          // A stop that could not commit in the end says so.
          const isOfStop = error instanceof ShutdownTimeoutError || error instanceof CommitError;
          const isExpected = error instanceof HandlerError || (isOfStop && this.#stopped.has(worker));
          if (!isExpected) this.broken.push(`a worker failed: ${error}`);
        },
      ),
    );
    // In virtual time: with the brokers away it takes until somebody moves the clock.
    this.#ended.push(worker.start().catch(() => {}));
    await this.clock.settle();
  }

  async take(action: Step): Promise<void> {
    const { kafka, clock } = this;
    const group = kafka.group('g');
    const index = 'who' in action ? action.who : 0;
    const owned = index < group.size ? group.assignment(index) : [];
    switch (action.do) {
      case 'wait':
        return clock.advance(action.ms);
      case 'send': {
        const values = Array.from({ length: action.records }, (_, i) => ({
          ...{ topic: 't', partition: action.partition, value: `${i}`, key: `${i % 3}` },
        }));
        kafka.send(values);
        kafka.appendGap({ topic: 't', partition: action.partition }, action.gap);
        return;
      }
      case 'revoke':
      case 'lose': {
        const chosen = owned.filter((one) => one.partition === action.partition);
        ignoreRefusal(() => group[action.do](chosen, index));
        return;
      }
      case 'kick':
        if (index < group.size) group.kick(index);
        return;
      case 'rebalance':
        return group.rebalance();
      case 'join':
        return this.join();
      case 'stop': {
        const worker = this.workers.filter(({ state }) => state === 'running')[index];
        if (worker !== undefined) await this.#stop(worker);
        return;
      }
      case 'outage':
        clock.setTimeout(kafka.outage(), action.ms);
        return;
      case 'fail-commits':
        return kafka.failCommits(action.times, { kafkaCode: action.kafkaCode, retriable: action.kafkaCode === 7 });
      case 'lose-answers':
        return kafka.fail('commit-answer', action.times, ({ offsets = [] }) => {
          const failures = offsets.map((next) => ({ ...next, kafkaCode: 7, reason: 'the answer was lost' }));
          return new CommitError(failures, { retriable: true });
        });
    }
  }

  /** Calm weather: everything that was sent has to be handled and committed. */
  async finish(): Promise<void> {
    await this.clock.advance(5_000);
    this.kafka.group('g').rebalance();
    for (let rounds = 0; rounds < 300 && !this.#isAllCommitted(); rounds++) {
      if (!this.workers.some(({ state }) => state === 'running')) await this.join();
      await this.clock.advance(1_000);
    }
    for (const { partition, offset } of this.kafka.records('t')) {
      if (!this.done.has(nameOf({ partition, offset }))) this.broken.push(`never handled: ${partition}@${offset}`);
    }
    if (!this.#isAllCommitted()) this.broken.push('not everything was committed');
    for (const worker of this.workers) await this.#stop(worker);
    await Promise.all(this.#ended);
    if (this.clock.pendingTimers > 0) this.broken.push(`${this.clock.pendingTimers} timers are left`);
  }

  async #stop(worker: Worker): Promise<void> {
    let hasEnded = false;
    this.#stopped.add(worker);
    const stopping = worker.stop({ timeoutMs: 100 }).then(() => {
      hasEnded = true;
    });
    await this.clock.advance(60_000);
    if (!hasEnded) this.broken.push('a stop did not end');
    else await stopping;
  }

  async #handle(record: NextOffset): Promise<void> {
    const name = nameOf(record);
    const { behaviours } = this.#plan;
    const { durationsMs, failures } = behaviours[record.offset % behaviours.length] ?? { durationsMs: [], failures: 0 };
    const call = this.#calls.get(name) ?? 0;
    this.#calls.set(name, call + 1);
    const durationMs = durationsMs[call] ?? 0;
    if (durationMs > 0) await new Promise<void>((resolve) => void this.clock.setTimeout(resolve, durationMs));
    if (call < failures) throw new Error(`${name} fails in call ${call}`);
    this.done.add(name);
  }

  #checkCommit({ partition: number, offset }: NextOffset): void {
    for (const record of this.kafka.records('t')) {
      if (record.partition !== number || record.offset >= offset || this.done.has(nameOf(record))) continue;
      this.broken.push(`committed ${number} at ${offset} past unfinished ${record.offset}`);
    }
  }

  #isAllCommitted(): boolean {
    const committed = this.kafka.committed('g', 't');
    return Array.from({ length: PARTITIONS }, (_, number) => number).every((number) => {
      const last = this.kafka.records('t').findLast((record) => record.partition === number);
      return last === undefined || (committed.get(number) ?? 0) > last.offset;
    });
  }
}

/** Of one worker: that calls of a lane of width 1 neither overlap nor go back, but for retries, within one time of ownership. */
class OrderOfCalls {
  readonly #rule: LaneRule;
  readonly #report: (message: string) => void;
  readonly #lanes = new Map<string, { last: number; running: Set<number> }>();

  constructor(rule: LaneRule, report: (message: string) => void) {
    this.#rule = rule;
    this.#report = report;
  }

  started(record: NextOffset, attempt: number): void {
    if (!('width' in this.#rule.inside) || this.#rule.inside.width !== 1) return;
    const lane = this.#lanes.get(`${record.partition}`) ?? { last: -1, running: new Set<number>() };
    this.#lanes.set(`${record.partition}`, lane);
    if (lane.running.size > 0) this.#report(`${nameOf(record)} starts while another one of its partition runs`);
    if (record.offset < lane.last || (record.offset === lane.last && attempt === 1))
      this.#report(`${nameOf(record)} (attempt ${attempt}) after ${lane.last}`);
    lane.last = record.offset;
    lane.running.add(record.offset);
  }

  ended(record: NextOffset): void {
    this.#lanes.get(`${record.partition}`)?.running.delete(record.offset);
  }

  /** A new time of ownership begins. */
  forget(partitions: readonly { readonly partition: number }[]): void {
    for (const { partition: number } of partitions) this.#lanes.delete(`${number}`);
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

async function live(given: Plan): Promise<World> {
  const world = new World(given);
  await world.join();
  for (const action of given.steps) await world.take(action);
  await world.finish();
  return world;
}

describe('Workers, whatever handlers, brokers and rebalances do', () => {
  it('handle every record at least once, never commit past an unfinished one, keep their order, and always end when stopped', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (given) => {
        const { broken } = await live(given);
        expect(broken).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});
