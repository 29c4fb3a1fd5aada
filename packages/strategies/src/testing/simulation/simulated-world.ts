import type {
  BatchContext,
  KafkaConsumer,
  KafkaRecord,
  Logger,
  StopOptions,
  TransactionalProducer,
  WorkerOptions,
} from '@kafka-worker/core';
import { type FakeKafka, type FakeOperation, fakeKafka, VirtualClock } from '@kafka-worker/core/testing';
import { InjectionCounts } from './injection-counts.ts';
import { Oracle } from './oracle.ts';
import { DEAD_LETTERS, type Output, outputOf } from './outputs.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedHandler } from './simulated-handler.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { laneOf, type SimulationPlan } from './simulation-plan.ts';
import { TransactionWeather } from './transaction-weather.ts';
import { LONGEST_STOP_MS, watchWorker } from './watched-worker.ts';
import { Weather, type WeatherSurroundings } from './weather.ts';

const MOST_PROCESSES = 4;
/** When everything has been produced, and the first processes have come. */
const ARRIVALS_MS = 3_000;
const STORM_MS = 20_000;
/** A handler that takes longer hangs for good, and somebody ends its process. */
const LONGEST_CALL_MS = 15_000;
const CALM_ROUNDS = 150;
/** Before or after these, what is committed may be something else than it was. */
const CHANGES: ReadonlySet<FakeOperation> = new Set([
  'commit-answer',
  'send-offsets',
  'commit-transaction-answer',
  'committed',
]);
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** What breaks a rule on purpose. */
export interface Tampering {
  readonly consumer?: (consumer: KafkaConsumer) => KafkaConsumer;
  readonly producer?: (producer: TransactionalProducer) => TransactionalProducer;
  readonly options?: (options: WorkerOptions) => WorkerOptions;
}

/** A cluster, processes that come and go, and the weather: one run. */
export class SimulatedWorld implements WeatherSurroundings {
  readonly clock: VirtualClock = new VirtualClock({ startMs: 0, settleTurns: 1 });
  readonly kafka: FakeKafka;
  readonly oracle: Oracle;
  readonly injected: InjectionCounts = new InjectionCounts();
  readonly #plan: SimulationPlan;
  readonly #tampering: Tampering;
  readonly #weather: Weather;
  readonly #transactionWeather: TransactionWeather;
  readonly #handler: SimulatedHandler;
  readonly #random: SeededRandom;
  readonly #processes: SimulatedProcess[] = [];
  readonly #stopTimes = new Map<SimulatedProcess, number>();
  #isCalm = false;

  constructor(plan: SimulationPlan, tampering: Tampering = {}) {
    this.#plan = plan;
    this.#tampering = tampering;
    this.#random = new SeededRandom(plan.seed, 1);
    this.kafka = fakeKafka({
      clock: this.clock,
      topics: {
        t: { partitions: plan.partitions },
        out: { partitions: plan.partitions },
        [DEAD_LETTERS]: { partitions: 1 },
      },
      requestTimeoutMs: 3_000,
      sessionTimeoutMs: 6_000,
      atAwait: (call) => {
        this.#weather.awaited();
        this.#transactionWeather.awaited(call);
        const { operation, clientId, offsets } = call;
        if (operation === 'send-offsets' && clientId !== undefined) this.oracle.arrived(clientId, offsets ?? []);
        if (plan.isExactlyOnce && CHANGES.has(call.operation) && !this.#isBroken) this.oracle.outputs.check();
      },
    });
    this.oracle = new Oracle({
      now: () => this.clock.now(),
      committed: (partition) => this.kafka.group('g').committedOffset({ topic: 't', partition }).offset,
      owner: (partition) => this.kafka.group('g').owner({ topic: 't', partition }),
      laneOf: (record) => laneOf(plan, record),
      maxCalls: plan.strategy.maxCalls,
      onStuckHandler: plan.options.onStuckHandler,
      handlerTimeoutMs: plan.options.handlerTimeoutMs,
      revokeDrainMs: plan.options.revokeDrainMs ?? 0,
      visible: () => this.#outputs(),
    });
    this.#weather = new Weather(this, new SeededRandom(plan.seed, 2), plan.mix, this.injected);
    this.#transactionWeather = new TransactionWeather(this, new SeededRandom(plan.seed, 5), this.injected);
    this.#handler = new SimulatedHandler({
      ...{ oracle: this.oracle, random: new SeededRandom(plan.seed, 3), mix: plan.mix, injected: this.injected },
      isCalm: () => this.#isCalm,
      awaited: () => this.#weather.awaited(),
      sends: plan.isExactlyOnce,
    });
  }

  /** Processes whose worker has not ended. */
  get alive(): SimulatedProcess[] {
    return this.#processes.filter(
      ({ isDead, worker: { state } }) => !isDead && (state === 'starting' || state === 'running'),
    );
  }

  /** Lives through storm and calm, until everything is handled, or something is broken. */
  async run(): Promise<void> {
    const { records, processes } = this.#plan;
    this.#send(Math.ceil(records / 2));
    for (let left = Math.floor(records / 2); left > 0; left -= 5) {
      const wave = Math.min(left, 5);
      this.clock.setTimeout(() => this.#send(wave), this.#random.below(ARRIVALS_MS));
    }
    for (let i = 0; i < processes; i++)
      this.clock.setTimeout(() => this.join(), i === 0 ? 0 : this.#random.below(1_000));
    const isStormy = (): boolean =>
      this.clock.now() < ARRIVALS_MS || (this.clock.now() < STORM_MS && !this.#weather.isOver);
    while (isStormy() && !this.#isBroken) await this.clock.advance(250);
    await this.clock.advance(this.#random.below(3_000));
    await this.#calmDown();
    for (const process of this.#processes) process.crash();
  }

  /** One more process, if there are not too many. */
  join(): boolean {
    if (this.alive.length >= MOST_PROCESSES) return false;
    const surroundings = {
      kafka: this.kafka,
      clock: this.clock,
      oracle: this.oracle,
      tamperWith: this.#tampering.consumer,
      tamperWithProducer: this.#tampering.producer,
    };
    const name = `p${this.#processes.length}`;
    const process = new SimulatedProcess(name, surroundings, (self) => this.#optionsOf(self));
    this.#processes.push(process);
    watchWorker(process, {
      ...{ oracle: this.oracle, clock: this.clock },
      stopTimeoutMs: () => this.#stopTimes.get(process),
      frozen: () => void this.clock.setTimeout(() => this.#unfreeze(), 500),
      ended: (hasFailed) => {
        this.#replace();
        // Whoever sees it fail may end the process at once, or let it be.
        if (hasFailed && this.#random.chance(0.5))
          this.clock.setTimeout(() => process.crash(), this.#random.below(2_000));
      },
    });
    // What it rejects with, `finished` says too.
    process.worker.start().catch(() => {});
    return true;
  }

  stop(process: SimulatedProcess, options: StopOptions & { readonly timeoutMs: number }): void {
    this.#stopTimes.set(process, options.timeoutMs);
    void process.worker.stop(options);
  }

  crash(process: SimulatedProcess): void {
    process.crash();
    this.#replace();
  }

  take(how: 'revoke' | 'lost', process: SimulatedProcess): boolean {
    return this.#weather.take(how, process);
  }

  get #isBroken(): boolean {
    return this.oracle.broken.length > 0;
  }

  /** Nothing goes wrong any more. Everything has to be handled and committed in a while, and every worker has to stop. */
  async #calmDown(): Promise<void> {
    this.#isCalm = true;
    this.#weather.calm();
    this.#transactionWeather.calm();
    for (const process of this.#processes) if (this.#hangs(process)) process.crash();
    for (let round = 0; round < CALM_ROUNDS && !this.#isBroken && !this.#isAllCommitted(); round++) {
      if (this.alive.length === 0) this.join();
      for (const process of this.#processes) if (this.#hangs(process)) process.crash();
      this.#unfreeze();
      await this.clock.advance(1_000);
    }
    if (this.#isBroken) return;
    this.oracle.checkNothingIsLost();
    if (this.#plan.isExactlyOnce) this.oracle.outputs.checkEnd();
    for (const process of this.alive) this.stop(process, { timeoutMs: 1_000 });
    await this.clock.advance(LONGEST_STOP_MS + 5_000);
    // A worker that is kept because its handler hangs is ended by whoever sees it fail.
    for (const process of this.#processes) if (this.#hangs(process)) process.crash();
    const { pendingTimers } = this.clock;
    if (pendingTimers > 0) this.oracle.report('stop-ends', `${pendingTimers} timers are left`);
  }

  /** Its worker has ended or was never to end, and a handler does not return. */
  #hangs({ name, isDead, worker }: SimulatedProcess): boolean {
    if (isDead) return false;
    const calls = [...this.oracle.running].filter((call) => call.process === name);
    const hasEnded = worker.state === 'stopped' || worker.state === 'failed';
    // One that stops has to end by itself.
    if (worker.state === 'draining') return false;
    return calls.some(({ startedAt }) => hasEnded || this.clock.now() - startedAt > LONGEST_CALL_MS);
  }

  #optionsOf(process: SimulatedProcess): WorkerOptions {
    const { options, isBatch, hasHooks } = this.#plan;
    const common = {
      ...{ ...options, kafka: this.kafka, groupId: 'g', topics: 't', logger: quiet },
      random: () => this.#random.next(),
      ...(hasHooks ? { onAssigned: () => this.#hook(process), onRevoked: () => this.#hook(process) } : {}),
    };
    const made: WorkerOptions = isBatch
      ? {
          ...common,
          batch: { maxRecords: 3, maxWaitMs: 20 },
          batchHandler: (records: readonly KafkaRecord[], context: BatchContext<KafkaRecord>) =>
            this.#handler.handle(process, records, context),
        }
      : { ...common, handler: (record, context) => this.#handler.handle(process, [record], context) };
    return this.#tampering.options?.(made) ?? made;
  }

  async #hook(process: SimulatedProcess): Promise<void> {
    if (this.#isCalm) return;
    this.#weather.awaited();
    if (this.#random.chance(0.2)) {
      this.injected.count('slow-hook');
      await new Promise<void>((resolve) => void process.clock.setTimeout(resolve, this.#random.pick([50, 900])));
    }
    if (this.#random.chance(0.03)) {
      this.injected.count('hook-failure');
      throw new Error('a hook fails');
    }
  }

  /** Where a worker has ended, another one comes a little later. */
  #replace(): void {
    if (this.#isCalm) return;
    this.clock.setTimeout(
      () => {
        if (!this.#isCalm && this.alive.length < this.#plan.processes) this.join();
      },
      this.#random.pick([10, 500, 2_000]),
    );
  }

  #unfreeze(): void {
    for (const { worker } of this.alive) {
      for (const { topic, partition, frozen } of worker.status().partitions) {
        for (const { scope, key } of frozen)
          worker.unfreeze({ topic, partition, ...(scope === 'key' ? { key } : {}) }).catch(() => {});
      }
    }
  }

  #send(count: number): void {
    const messages = Array.from({ length: count }, () => ({
      ...{ topic: 't', partition: this.#random.below(this.#plan.partitions), value: null },
      key: this.#random.pick(['a', 'b', 'c', null]),
    }));
    for (const { partition, offset, key } of this.kafka.send(messages))
      this.oracle.sent.add({ partition, offset, key: key === null ? null : String(key) });
    if (this.#random.chance(0.3))
      this.kafka.appendGap({ topic: 't', partition: this.#random.below(this.#plan.partitions) }, 1);
  }

  /** What a reader of what is committed sees. */
  #outputs(): Output[] {
    return ['out', DEAD_LETTERS].flatMap((topic) => this.kafka.records(topic).map((record) => outputOf(record)));
  }

  #isAllCommitted(): boolean {
    const committed = this.kafka.committed('g', 't');
    for (const partition of this.oracle.sent.partitions()) {
      const last = this.oracle.sent.of(partition).at(-1)?.offset ?? -1;
      if ((committed.get(partition) ?? 0) <= last) return false;
    }
    return true;
  }
}
