import type { LaneRule } from '../concurrency.ts';
import type { FailurePolicy } from '../failure.ts';
import type { BatchContext, HandlerContext } from '../handler.ts';
import type { KafkaRecord, NextOffset, TopicPartition } from '../record.ts';
import { Worker } from '../worker.ts';
import type { CommonWorkerOptions } from '../worker-options.ts';
import type { PartitionStatus, WorkerSummary } from '../worker-status.ts';
import { type FakeKafka, fakeKafka } from './fake-kafka.ts';
import type { FakeCall } from './fake-kafka-network.ts';

type Options = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;
type AnyRecord = KafkaRecord<Buffer | null, Buffer | null>;

/** What happens on it, as options of every worker that is started. */
export interface StageOptions extends Options {
  readonly batch?: { readonly maxRecords?: number; readonly maxWaitMs?: number };
  /** Calls get batches. */
  readonly isBatch?: boolean;
  readonly atAwait?: (call: FakeCall) => void;
}

/** Lane rules by the names of their strategies. */
export const lanes: Readonly<Record<'serial' | 'perPartition' | 'perKey' | 'parallel', LaneRule>> = {
  serial: { by: 'all', active: 1, inside: { width: 1 } },
  perPartition: { by: 'partition', active: Number.POSITIVE_INFINITY, inside: { width: 1 } },
  perKey: { by: 'key', active: 100, inside: { width: 1 } },
  parallel: { by: 'all', active: 1, inside: { width: 100, unordered: true } },
};

/** A concurrency strategy of these rules. */
export function laneStrategy(rule: LaneRule): { kind: 'concurrency'; name: string; lanes: LaneRule } {
  return { kind: 'concurrency', name: 'of a test', lanes: rule };
}

/** A policy that always says the same. */
export function always(decision: ReturnType<FailurePolicy['decide']>): FailurePolicy {
  return { kind: 'failure', name: decision.do, decide: () => decision };
}

/**
 * Workers on a cluster in memory, one after the other, whose handlers do what a test says: records are named `partition@offset`. It watches every
 * commit: one that passes a record which is not finished is in `broken`.
 */
export class Stage {
  readonly kafka: FakeKafka;
  /** Every record that a handler got, in order. */
  readonly calls: string[] = [];
  /** The batches that handlers got, in order. */
  readonly batches: string[] = [];
  readonly attempts: Map<string, number> = new Map<string, number>();
  readonly handled: string[] = [];
  /** What a worker told, as `event what`. */
  readonly events: string[] = [];
  readonly errors: { readonly message: string; readonly fields: object | undefined }[] = [];
  readonly broken: string[] = [];
  /** Records that fail, with what they fail with in which attempt. */
  readonly failing: Map<string, (attempt: number) => unknown> = new Map<string, (attempt: number) => unknown>();
  /** Records of a batch that fail alone. */
  readonly failingAlone: Map<string, unknown> = new Map<string, unknown>();
  /** How long their handlers take. */
  readonly durations: Map<string, number> = new Map<string, number>();
  readonly #held = new Map<string, Promise<void>>();
  readonly #openers = new Map<string, () => void>();
  readonly signals: Map<string, AbortSignal> = new Map<string, AbortSignal>();
  readonly contexts: Map<string, HandlerContext> = new Map<string, HandlerContext>();
  readonly #finished = new Set<string>();
  readonly #options: StageOptions;
  #worker: Worker | undefined;

  /** @param keys of every record, by partition of the topic `t` */
  constructor(keys: readonly (readonly (string | null)[])[], options: StageOptions = {}) {
    this.#options = options;
    this.kafka = fakeKafka({
      topics: { t: { partitions: keys.length }, dead: { partitions: 1 } },
      atAwait: (call) => {
        if (call.operation === 'commit') for (const next of call.offsets ?? []) this.#checkCommit(next);
        options.atAwait?.(call);
      },
    });
    for (const [partition, own] of keys.entries()) this.send(partition, own);
  }

  send(partition: number, keys: readonly (string | null)[]): void {
    this.kafka.send(keys.map((key, i) => ({ topic: 't', partition, key, value: `${i}` })));
  }

  get worker(): Worker {
    if (this.#worker === undefined) throw new Error('no worker was started');
    return this.#worker;
  }

  /** Starts a worker; what it is given here goes before what all are given. `before` may act on it before it starts. */
  async start(rest: Options = {}, before: (worker: Worker) => void = () => {}): Promise<Worker> {
    const { isBatch = false, batch, atAwait: _, ...common } = this.#options;
    const options = {
      ...{ kafka: this.kafka, groupId: 'g', topics: 't', clock: this.kafka.clock, random: () => 0.5 },
      logger: {
        ...{ debug() {}, info() {}, warn() {} },
        error: (message: string, fields?: object) => void this.errors.push({ message, fields }),
      },
      ...common,
      ...rest,
    };
    const worker = isBatch
      ? new Worker({
          ...options,
          ...(batch === undefined ? {} : { batch }),
          batchHandler: (records, context) => this.#handleBatch(records, context),
        })
      : new Worker({ ...options, handler: (record, context) => this.#handle(record, context) });
    this.#worker = worker;
    worker.finished.catch(() => {});
    worker.on('settled', ({ record, outcome }) => {
      this.#finished.add(nameOf(record));
      if (outcome !== 'handled') this.events.push(`${outcome} ${nameOf(record)}`);
    });
    worker.on('frozen', ({ scope, partition, offset, key }) => {
      this.events.push(`frozen ${scope} ${partition}@${offset} ${key}`);
    });
    worker.on('unfrozen', ({ scope, partition, key, skipped }) => {
      this.events.push(`unfrozen ${scope} ${partition} ${key}${skipped ? ' skipped' : ''}`);
    });
    worker.on('dead-letter-failed', ({ record, failures }) => {
      this.events.push(`dead-letter-failed ${nameOf(record)} ${failures}`);
    });
    worker.on('stuck', ({ partition, offset, waitedMs }) => {
      this.events.push(`stuck ${partition}@${offset} ${waitedMs}`);
    });
    before(worker);
    const started = worker.start();
    started.catch(() => {});
    await this.advance(10);
    await started;
    return worker;
  }

  advance(ms: number): Promise<void> {
    return this.kafka.clock.advance(ms);
  }

  /** The handler does not return until `open`. */
  hold(...names: string[]): void {
    for (const name of names) {
      this.#held.set(name, new Promise<void>((resolve) => void this.#openers.set(name, resolve)));
    }
  }

  /** As `open`, but only for the calls that come: those that wait go on waiting. */
  release(...names: string[]): void {
    for (const name of names) this.#held.delete(name);
  }

  async open(...names: string[]): Promise<void> {
    for (const name of names) {
      this.#held.delete(name);
      this.#openers.get(name)?.();
    }
    await this.kafka.clock.settle();
  }

  fail(name: string, error: unknown = new Error(`${name} fails`)): void {
    this.failing.set(name, () => error);
  }

  heal(...names: string[]): void {
    for (const name of names) this.failing.delete(name);
  }

  committed(partition = 0): number | undefined {
    return this.kafka.committed('g', 't').get(partition);
  }

  status(partition = 0): PartitionStatus {
    const found = this.worker.status().partitions.find((one) => one.partition === partition);
    if (found === undefined) throw new Error(`partition ${partition} is not assigned`);
    return found;
  }

  reasons(): string {
    return this.worker.health().reasons.join('\n');
  }

  dead(): readonly AnyRecord[] {
    return this.kafka.records('dead');
  }

  /** Stops the worker while time goes on. */
  async stop(options: Parameters<Worker['stop']>[0] = { timeoutMs: 1_000 }): Promise<WorkerSummary> {
    const stopping = this.worker.stop(options);
    await this.advance(60_000);
    return stopping;
  }

  /** Ends what a test has begun; nothing may be left, or be broken. What is broken. */
  async end(): Promise<readonly string[]> {
    for (const name of [...this.#openers.keys()]) await this.open(name);
    await this.stop();
    if (this.kafka.clock.pendingTimers > 0) this.broken.push(`${this.kafka.clock.pendingTimers} timers are left`);
    return this.broken;
  }

  #handle(record: AnyRecord, context: HandlerContext): Promise<void> | void {
    const name = nameOf(record);
    this.calls.push(name);
    decode(record);
    this.attempts.set(name, context.attempt);
    this.contexts.set(name, context);
    if (this.#held.has(name) || this.durations.has(name)) this.signals.set(name, context.signal);
    return this.#finish([name], context.attempt);
  }

  #handleBatch(records: readonly AnyRecord[], context: BatchContext<AnyRecord>): Promise<void> | void {
    const names = records.map(nameOf);
    this.calls.push(...names);
    this.batches.push(names.join(' '));
    for (const name of names) {
      this.attempts.set(name, context.attempt);
      this.signals.set(name, context.signal);
    }
    for (const record of records) {
      decode(record);
      const name = nameOf(record);
      if (this.failingAlone.has(name)) context.fail(record, this.failingAlone.get(name));
    }
    return this.#finish(names, context.attempt);
  }

  #finish(names: readonly string[], attempt: number): Promise<void> | void {
    const finish = (): void => {
      for (const name of names) {
        const error = this.failing.get(name)?.(attempt);
        if (error !== undefined) throw error as Error;
      }
      this.handled.push(...names.filter((name) => !this.failingAlone.has(name)));
    };
    const waits = names.flatMap((name) => this.#held.get(name) ?? []);
    const ms = Math.max(0, ...names.map((name) => this.durations.get(name) ?? 0));
    if (ms > 0) waits.push(new Promise<void>((resolve) => void this.kafka.clock.setTimeout(resolve, ms)));
    return waits.length === 0 ? finish() : Promise.all(waits).then(finish);
  }

  #checkCommit({ topic, partition, offset }: NextOffset): void {
    for (const record of this.kafka.records(topic)) {
      if (record.partition !== partition || record.offset >= offset || this.#finished.has(nameOf(record))) continue;
      this.broken.push(`committed ${partition} at ${offset} past unfinished ${record.offset}`);
    }
  }
}

/** A partition of the stage's topic. */
export function at(partition: number): TopicPartition {
  return { topic: 't', partition };
}

/** A deserializer decodes what is read, and throws then. */
function decode({ value }: AnyRecord): unknown {
  return value;
}

function nameOf({ partition, offset }: { readonly partition: number; readonly offset: number }): string {
  return `${partition}@${offset}`;
}
