import {
  type FailurePolicy,
  HeaderList,
  type KafkaConsumer,
  type KafkaRecord,
  type TopicPartition,
  Worker,
} from '@kafka-worker/core';
import { type FakeKafka, fakeKafka, VirtualClock } from '@kafka-worker/core/testing';
import { retry } from '../failure/retry.ts';
import { skip } from '../failure/skip.ts';
import { ConcurrencyOracle, placeOf } from './concurrency-oracle.ts';
import type { ConcurrencyUnderTest, SentRecord } from './concurrency-under-test.ts';

const TOPICS = ['t', 'u'];
const PARTITIONS: readonly TopicPartition[] = TOPICS.flatMap((topic) =>
  [0, 1].map((partition) => ({ topic, partition })),
);
const MAX_ATTEMPTS = 3;

/** What the handler does with a record. */
export interface Behaviour {
  /** 0 returns at once, without a promise. */
  readonly durationMs: number;
  /** How often it fails; more often than there are attempts, and the record is skipped. */
  readonly failures: number;
}

export interface Message {
  readonly topic: string;
  readonly partition: number;
  readonly key: string | null;
  readonly tenant: string | null;
}

/** A worker's `batch`. */
export interface BatchLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

export interface WorldOptions {
  readonly under: ConcurrencyUnderTest;
  readonly behaviourOf: (record: SentRecord) => Behaviour;
  /** The wait before every retry. @defaultValue 30 */
  readonly retryMs?: number;
  /** Instead of the retries; whatever fails is called again some time. */
  readonly onFailure?: FailurePolicy;
  readonly batch?: BatchLimits | undefined;
  /** Called when a handler call ends. */
  readonly whenEnded?: (records: readonly SentRecord[]) => void;
}

/** One worker on a cluster in memory, in virtual time, and the oracle that watches it. */
export class ConcurrencyWorld {
  readonly clock: VirtualClock = new VirtualClock();
  readonly kafka: FakeKafka = fakeKafka({
    clock: this.clock,
    topics: Object.fromEntries(TOPICS.map((topic) => [topic, { partitions: 2 }])),
  });
  readonly oracle: ConcurrencyOracle;
  readonly worker: Worker;
  /** Every record that was settled, by its place. */
  readonly settled: Map<string, string> = new Map();
  readonly sent: Map<string, SentRecord> = new Map();
  readonly #options: WorldOptions;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.oracle = new ConcurrencyOracle(options.under, (place) => this.sent.get(place));
    const { batch, under } = options;
    const kafka = { ...this.kafka, consumer: (of: never) => this.#watched(this.kafka.consumer(of)) };
    const common = {
      ...{ kafka, groupId: 'g', topics: TOPICS, clock: this.clock, concurrency: under.strategy },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      onFailure:
        options.onFailure ??
        retry({
          maxAttempts: MAX_ATTEMPTS,
          backoff: { initialMs: options.retryMs ?? 30, factor: 1, jitter: 0 },
          then: skip({ log: false }),
        }),
    };
    this.worker =
      batch === undefined
        ? new Worker({ ...common, handler: (record, { attempt }) => this.#handle([record], attempt) })
        : new Worker({
            ...{ ...common, batch },
            batchHandler: (records, { attempt, fail }) => this.#handle(records, attempt, fail),
          });
    this.worker.on('settled', ({ record, outcome }) => {
      this.settled.set(placeOf(record), outcome);
      this.oracle.settled(this.#sentOf(record));
    });
  }

  async start(): Promise<void> {
    const starting = this.worker.start();
    await this.clock.advance(10);
    await starting;
  }

  send(messages: readonly Message[]): SentRecord[] {
    const records = this.kafka.send(
      messages.map(({ topic, partition, key, tenant }) => ({
        ...{ topic, partition, key, value: JSON.stringify({ tenant }) },
        headers: new HeaderList(tenant === null ? [] : [['tenant', Buffer.from(tenant)]]),
      })),
    );
    return records.map((record, index) => {
      const { key = null, tenant = null } = messages[index] ?? {};
      const sent = { topic: record.topic, partition: record.partition, offset: record.offset, key, tenant };
      this.sent.set(placeOf(sent), sent);
      return sent;
    });
  }

  /** Takes a partition away, as a rebalance or a session timeout does. Nobody has it until `giveBack`. */
  take(how: 'revoke' | 'lose', wanted: TopicPartition): void {
    const group = this.kafka.group('g');
    const owned = group.size === 0 ? [] : group.assignment(0);
    const chosen = owned.filter(({ topic, partition }) => topic === wanted.topic && partition === wanted.partition);
    try {
      group[how](chosen);
    } catch {
      // It is being taken away already.
    }
  }

  giveBack(): void {
    this.kafka.group('g').rebalance();
  }

  pause(partition: TopicPartition): void {
    this.worker.pause([partition]);
    this.oracle.paused([partition]);
  }

  resume(): void {
    this.oracle.resumed(PARTITIONS);
    this.worker.resume(PARTITIONS);
  }

  /** Moves time on, and looks whether anything is held up for nothing. */
  async wait(ms: number): Promise<void> {
    await this.clock.advance(ms);
    // On a busy machine a turn of the event loop may be over before everything has settled.
    for (let looks = 0; looks < 20 && this.oracle.heldUpForNothing().length > 0; looks++) await this.clock.settle();
    const heldUp = this.oracle.heldUpForNothing();
    const { maxWaitMs = 0 } = this.#options.batch ?? {};
    // It may wait for company, but no longer than that.
    if (heldUp.length > 0 && maxWaitMs > 0) await this.clock.advance(maxWaitMs);
    const after = new Set(this.oracle.heldUpForNothing());
    for (const place of heldUp) if (after.has(place)) this.oracle.broken.push(`${place} is held up for nothing`);
  }

  /** Everything has to be settled and committed in the end, and nothing may be left over. */
  async finish(): Promise<void> {
    this.giveBack();
    this.resume();
    for (let rounds = 0; rounds < 200 && !this.#isAllCommitted(); rounds++) await this.wait(rounds < 20 ? 97 : 1_000);
    const { broken, running, waiting } = this.oracle;
    for (const place of this.sent.keys()) if (!this.settled.has(place)) broken.push(`${place} was never settled`);
    if (!this.#isAllCommitted()) broken.push('not everything is committed');
    if (running.size + waiting.size > 0) broken.push(`${running.size} run and ${waiting.size} wait in the end`);
    await this.stop();
  }

  async stop(): Promise<void> {
    const stopping = this.worker.stop({ timeoutMs: 100 });
    await this.clock.advance(60_000);
    const { error } = await stopping;
    if (error !== undefined) this.oracle.broken.push(`the worker ended with ${error}`);
  }

  #handle(
    given: readonly KafkaRecord[],
    attempt: number,
    fail?: (record: KafkaRecord, error: unknown) => void,
  ): unknown {
    const records = given.map((record) => this.#sentOf(record));
    const { behaviourOf, whenEnded, onFailure, batch } = this.#options;
    if (batch !== undefined) this.#checkBatch(given, batch);
    const call = this.oracle.started(records, attempt, this.clock.now());
    const failing = given.filter((record) => behaviourOf(this.#sentOf(record)).failures >= attempt);
    const end = (): void => {
      const isRetried = attempt < MAX_ATTEMPTS || onFailure !== undefined;
      this.oracle.ended(call, isRetried ? failing.map((record) => this.#sentOf(record)) : []);
      whenEnded?.(records);
      const [first] = failing;
      if (first === undefined) return;
      if (fail === undefined) throw new Error(`${placeOf(first)} fails in attempt ${attempt}`);
      for (const record of failing) fail(record, new Error('alone'));
    };
    const durationMs = Math.max(...records.map((record) => behaviourOf(record).durationMs));
    if (durationMs === 0) return end();
    return new Promise<void>((resolve) => void this.clock.setTimeout(resolve, durationMs)).then(end);
  }

  #checkBatch(given: readonly KafkaRecord[], { maxRecords, maxBytes }: BatchLimits): void {
    const bytes = given.reduce((sum, { key, value, headers }) => {
      const lengths = [...headers].map(([name, header]) => name.length + (header?.length ?? 0));
      return lengths.reduce((all, length) => all + length, sum + (key?.length ?? 0) + (value?.length ?? 0));
    }, 0);
    if (given.length > maxRecords) this.oracle.broken.push(`a batch of ${given.length} records`);
    if (given.length > 1 && bytes > maxBytes) this.oracle.broken.push(`a batch of ${bytes} bytes`);
  }

  #sentOf(record: TopicPartition & { readonly offset: number }): SentRecord {
    const sent = this.sent.get(placeOf(record));
    if (sent === undefined) throw new Error(`${placeOf(record)} was never sent`);
    return sent;
  }

  /** The same consumer; the oracle sees what it polls. */
  #watched(consumer: KafkaConsumer): KafkaConsumer {
    return new Proxy(consumer, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name !== 'poll') return value.bind(target) as unknown;
        return async (...args: Parameters<KafkaConsumer['poll']>) => {
          const poll = await target.poll(...args);
          this.oracle.polled(poll);
          return poll;
        };
      },
    });
  }

  #isAllCommitted(): boolean {
    return TOPICS.every((topic) => {
      const committed = this.kafka.committed('g', topic);
      return this.kafka.records(topic).every(({ partition, offset }) => (committed.get(partition) ?? 0) > offset);
    });
  }
}
