import { type AnyWorker, type ClientStatistics, isKafkaWorkerError, type WorkerEvents } from '@kafka-worker/core';
import { DurationHistogram } from './duration-histogram.ts';
import { FormerTopics } from './former-topics.ts';
import { DURATION_BUCKETS, type MetricKey } from './metric-table.ts';

/** What a metric has at one moment for some values of its labels. */
export type Sample = { readonly metric: MetricKey; readonly labels: Readonly<Record<string, string | number>> } & (
  | { readonly value: number }
  | { readonly histogram: DurationHistogram }
);

/** What a label says that can say no more. */
const OTHER = 'OTHER';
const MAX_DEAD_LETTER_TOPICS = 100;

type Counts = Map<string, number>;
type Outcome = Parameters<WorkerEvents['settled']>[0]['outcome'];

/** What is counted of a topic's records. Fields and no map: one is found for every record. */
interface TopicCounts {
  readonly topic: string;
  readonly outcomes: Record<Outcome, number>;
  readonly durations: DurationHistogram;
  readonly failures: Counts;
}

/** Everything that is counted of one worker. Counting costs little; samples are made when somebody looks. */
export class WorkerMeasures {
  readonly listeners: Partial<WorkerEvents>;
  readonly #topics = new Map<string, TopicCounts>();
  readonly #former = new FormerTopics();
  readonly #changes: Counts = new Map([
    ['assigned', 0],
    ['revoked', 0],
    ['lost', 0],
  ]);
  readonly #phases: Counts = new Map([
    ['poll', 0],
    ['idle', 0],
    ['dispatch', 0],
    ['commit', 0],
  ]);
  readonly #deadLetterFailures: Counts = new Map();
  readonly #errors: Counts = new Map();
  readonly #batches = new DurationHistogram(DURATION_BUCKETS);
  readonly #commits = new DurationHistogram(DURATION_BUCKETS);
  readonly #drains = new DurationHistogram(DURATION_BUCKETS);
  readonly #clients = new Map<ClientStatistics['client'], ClientStatistics>();
  #batchRecords = 0;
  #received = 0;
  #receivedBytes = 0;
  #commitFailures = 0;
  #stuck = 0;
  #last: TopicCounts | undefined;

  constructor() {
    this.listeners = {
      polled: ({ records, bytes }) => {
        this.#received += records;
        this.#receivedBytes += bytes;
      },
      settled: ({ record, outcome, durationMs }) => {
        const counts = this.#last?.topic === record.topic ? this.#last : this.#topic(record.topic);
        counts.outcomes[outcome]++;
        counts.durations.addMs(durationMs);
      },
      failed: ({ record, decision }) => add(this.#topic(record.topic).failures, decision.do, 1),
      turned: ({ records, pollMs, turnMs }) => {
        add(this.#phases, records > 0 ? 'poll' : 'idle', pollMs / 1_000);
        add(this.#phases, 'dispatch', turnMs / 1_000);
      },
      committed: ({ durationMs }) => {
        this.#commits.addMs(durationMs);
        add(this.#phases, 'commit', durationMs / 1_000);
      },
      'commit-failed': () => {
        this.#commitFailures++;
      },
      assigned: ({ partitions }) => {
        this.#former.assigned(partitions);
        add(this.#changes, 'assigned', 1);
      },
      revoked: ({ partitions, lost, drainedMs }) => {
        for (const topic of this.#former.revoked(partitions)) this.#forget(topic);
        add(this.#changes, lost ? 'lost' : 'revoked', 1);
        if (!lost) this.#drains.addMs(drainedMs);
      },
      'dead-letter-failed': ({ topic }) => {
        // A policy may make up topics.
        const isTooMuch =
          this.#deadLetterFailures.size >= MAX_DEAD_LETTER_TOPICS && !this.#deadLetterFailures.has(topic);
        add(this.#deadLetterFailures, isTooMuch ? OTHER : topic, 1);
      },
      stuck: () => {
        this.#stuck++;
      },
      // The last of each: its totals are totals already.
      statistics: (said) => void this.#clients.set(said.client, said),
      error: ({ error }) => add(this.#errors, isKafkaWorkerError(error) ? error.code : OTHER, 1),
    };
  }

  batch(records: number, durationMs: number): void {
    this.#batches.addMs(durationMs);
    this.#batchRecords += records;
  }

  /** What there is to tell now. */
  *samples(worker: Pick<AnyWorker, 'name' | 'state' | 'status' | 'health'>): Generator<Sample> {
    const labels = { worker: worker.name };
    yield { metric: 'received', labels, value: this.#received };
    yield { metric: 'receivedBytes', labels, value: this.#receivedBytes };
    for (const { topic, outcomes, durations, failures } of this.#topics.values()) {
      for (const [outcome, value] of Object.entries(outcomes))
        yield { metric: 'settled', labels: { ...labels, topic, outcome }, value };
      for (const [decision, value] of failures)
        yield { metric: 'failures', labels: { ...labels, topic, decision }, value };
      yield { metric: 'handlerDuration', labels: { ...labels, topic }, histogram: durations };
    }
    if (this.#batches.count > 0) {
      yield { metric: 'batchDuration', labels, histogram: this.#batches };
      yield { metric: 'batchRecords', labels, value: this.#batchRecords };
    }
    yield { metric: 'commitDuration', labels, histogram: this.#commits };
    yield { metric: 'commitFailures', labels, value: this.#commitFailures };
    yield { metric: 'drainDuration', labels, histogram: this.#drains };
    yield { metric: 'stuck', labels, value: this.#stuck };
    for (const [change, value] of this.#changes) yield { metric: 'rebalances', labels: { ...labels, change }, value };
    for (const [phase, value] of this.#phases) yield { metric: 'loop', labels: { ...labels, phase }, value };
    for (const [topic, value] of this.#deadLetterFailures)
      yield { metric: 'deadLetterFailures', labels: { ...labels, topic }, value };
    for (const [code, value] of this.#errors) yield { metric: 'errors', labels: { ...labels, code }, value };
    for (const said of this.#clients.values()) yield* ofClient(labels, said);
    yield* now(worker);
  }

  #forget(topic: string): void {
    this.#topics.delete(topic);
    if (this.#last?.topic === topic) this.#last = undefined;
  }

  #topic(topic: string): TopicCounts {
    let counts = this.#topics.get(topic);
    if (counts === undefined) {
      const outcomes = { handled: 0, skipped: 0, 'dead-lettered': 0 };
      counts = { topic, outcomes, durations: new DurationHistogram(DURATION_BUCKETS), failures: new Map() };
      this.#topics.set(topic, counts);
    }
    this.#last = counts;
    return counts;
  }
}

function* ofClient(of: { readonly worker: string }, said: ClientStatistics): Generator<Sample> {
  const { client, queuedRecords, queuedBytes, sentBytes, receivedBytes, brokers } = said;
  const labels = { ...of, client };
  yield { metric: 'clientQueued', labels, value: queuedRecords };
  yield { metric: 'clientQueuedBytes', labels, value: queuedBytes };
  yield { metric: 'clientSentBytes', labels, value: sentBytes };
  yield { metric: 'clientReceivedBytes', labels, value: receivedBytes };
  for (const { id, rttMs, openRequests } of brokers) {
    if (rttMs !== undefined) yield { metric: 'brokerRtt', labels: { ...labels, broker: id }, value: rttMs / 1_000 };
    yield { metric: 'brokerRequests', labels: { ...labels, broker: id }, value: openRequests };
  }
}

/** What nobody counts, for the worker knows it when it is asked. */
function* now(worker: Pick<AnyWorker, 'name' | 'state' | 'status' | 'health'>): Generator<Sample> {
  const labels = { worker: worker.name };
  const { state, partitions, inFlightRecords, inFlightBytes, lanes } = worker.status();
  yield { metric: 'inFlight', labels, value: inFlightRecords };
  yield { metric: 'inFlightBytes', labels, value: inFlightBytes };
  yield { metric: 'lanes', labels, value: lanes.open };
  yield { metric: 'runningCalls', labels, value: lanes.runningCalls };
  yield { metric: 'state', labels: { ...labels, state }, value: 1 };
  const { live, ready } = worker.health();
  yield { metric: 'live', labels, value: Number(live) };
  yield { metric: 'ready', labels, value: Number(ready) };
  for (const { topic, partition, nextOffset, committedOffset, lag, stillMs, frozen, isPaused } of partitions) {
    const of = { ...labels, topic, partition };
    if (lag !== undefined) yield { metric: 'lag', labels: of, value: lag };
    yield { metric: 'frontier', labels: of, value: nextOffset };
    if (committedOffset !== undefined) yield { metric: 'committed', labels: of, value: committedOffset };
    yield { metric: 'still', labels: of, value: stillMs / 1_000 };
    yield { metric: 'frozen', labels: of, value: frozen.length };
    yield { metric: 'paused', labels: of, value: Number(isPaused) };
  }
}

function add(counts: Counts, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}
