import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyWorker, KafkaCluster, Plugin, WorkerGroup } from '@kafka-worker/core';
import type { ExampleArguments } from './example-arguments.ts';
import type { ExampleCluster } from './example-cluster.ts';
import { openExampleCluster } from './example-cluster.ts';
import type { ExampleResult, ExampleSummary } from './example-summary.ts';
import { figuresOf } from './example-summary.ts';
import { createTopic, orders, produce, seeded } from './example-topic.ts';
import { ExampleTracing } from './example-tracing.ts';
import { GroupView } from './group-view.ts';
import { HandlerCalls } from './handler-calls.ts';
import type { SpanReport } from './otlp-spans.ts';
import { partitionsBehind } from './partitions-behind.ts';
import { traced } from './traced.ts';
import { type RunEnding, type UnreachedFailure, unreachedFailures } from './unreached-failures.ts';

/** What an example's worker is made from. */
export interface ExampleSetup {
  readonly kafka: KafkaCluster;
  readonly groupId: string;
  readonly topics: readonly string[];
  /** Watches from outside and implements `--fail`; a worker of yours needs none. */
  readonly plugins: readonly Plugin[];
}

/**
 * An example: what its `main.ts` exports as `createWorker`, or as `createGroup`, for `--crash`: the first worker of a group is the one that is looked at.
 * One that needs more than Kafka exports `open`.
 */
export type CreateWorker = (
  setup: ExampleSetup,
  given: ExampleArguments,
) => AnyWorker | WorkerGroup | Promise<OpenedExample>;

/** A worker with what it needs around it. */
export interface OpenedExample {
  readonly worker: AnyWorker | WorkerGroup;
  /** What there is to show when the worker has stopped, and what is wrong with it: the run has failed then. */
  result(): Promise<{
    readonly figures: ExampleResult;
    readonly problem?: string;
    /** For people. */
    readonly shown?: readonly string[];
    /** Of one that traces by itself, and sends its spans. */
    readonly spans?: SpanReport;
  }>;
  close(): Promise<void>;
}

/** What an example's `main.ts` exports as `run`, if it starts and stops by itself: started here it ends with the worker. */
export type RunTarget = (target: AnyWorker | WorkerGroup, tell: (line: string) => void) => Promise<void>;

export interface ExampleRun {
  readonly summary: ExampleSummary;
  /** Why the worker ended by itself, if it did. */
  readonly error?: Error;
  /** Each `--fail` that made nothing fail. */
  readonly unreached: readonly UnreachedFailure[];
  /** What is wrong with what the example has to show. */
  readonly problem?: string;
  /** What there is to show besides, line by line. */
  readonly shown: readonly string[];
  /** What became of the spans, if they were to be sent. */
  readonly spans?: SpanReport;
}

export interface RunOptions {
  /** Where to run instead of where the arguments say; stays open. */
  readonly cluster?: ExampleCluster;
  /** Starts the worker. @defaultValue its own start */
  readonly run?: RunTarget;
  /** Ends the run early. */
  readonly signal?: AbortSignal;
  /** Gets a line for each thing that happens. @defaultValue nothing is told */
  readonly tell?: (line: string) => void;
}

/** A run with `--board` has no end: its figures are of the last calls. */
const MAX_WATCHED_CALLS = 20_000;
const LOOK_EVERY_MS = 20;
/** As long as partitions are not here, each look asks the broker what others have committed. */
const LOOK_ELSEWHERE_EVERY_MS = 100;

/** Runs an example until it has handled what its topic held at the start, and says what happened. */
export async function runExample(
  createWorker: CreateWorker,
  given: ExampleArguments,
  options: RunOptions = {},
): Promise<ExampleRun> {
  const { tell = () => {} } = options;
  const ownName = `example-${given.example}-${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const { topic = ownName, group = ownName } = given;
  const calls = new HandlerCalls(given.fail, given.trace, given.board === true ? MAX_WATCHED_CALLS : undefined);
  let cluster = options.cluster;
  let opened: OpenedExample | undefined;
  const tracing = ExampleTracing.start(given);
  try {
    cluster ??= await openExampleCluster(given.kafka);
    const view = await GroupView.open(cluster.kafka, group, topic);
    try {
      // A topic that was named is read as it is; in a new embedded cluster there is none yet.
      const isOwn = given.topic === undefined || (given.kafka === undefined && !(await view.exists()));
      const { partitions, records, keys } = seeded;
      if (isOwn) await createTopic(cluster.kafka, topic, partitions);
      const setup = { kafka: cluster.kafka, groupId: group, topics: [topic], plugins: [...tracing.plugins, calls] };
      const created = await createWorker(setup, given);
      if ('result' in created) opened = created;
      if (isOwn) {
        // Only now: an example that traces by itself then traces this too.
        await produce(cluster.kafka, traced(orders(topic, records, keys)));
        tell(`seeded ${cluster.name} topic ${topic}: ${records} records, ${keys} keys, ${partitions} partitions`);
      }
      const target = 'result' in created ? created.worker : created;
      const watch = given.board === true ? (await import('./watched-run.ts')).watchRun : undefined;
      const unwatch = await watch?.({ target, kafka: cluster.kafka, topic: isOwn ? topic : undefined, tell });
      let end: Awaited<ReturnType<typeof runToEnd>>;
      try {
        end = await runToEnd(target, view, tell, { ...options, isEndless: given.board === true });
      } finally {
        await unwatch?.();
      }
      const { error, ending } = end;
      const result = await opened?.result();
      const spans = result?.spans ?? (await tracing.end());
      const summary = {
        example: given.example,
        kafka: cluster.name,
        topic,
        group,
        ...figuresOf(calls.calls),
        ...(calls.leftOut === 0 ? {} : { callsLeftOut: calls.leftOut }),
        committed: Object.fromEntries(
          [...(await view.committed())].map(([partition, offset]) => [`${topic}/${partition}`, offset]),
        ),
        ...(result === undefined ? {} : { result: result.figures }),
      };
      const unreached = unreachedFailures(calls.unreached, ending);
      return {
        ...{ summary, unreached, shown: result?.shown ?? [] },
        ...(spans === undefined ? {} : { spans }),
        ...(error === undefined ? {} : { error }),
        ...(result?.problem === undefined ? {} : { problem: result.problem }),
      };
    } finally {
      await view.close();
    }
  } finally {
    calls.close();
    await opened?.close();
    await tracing.end();
    if (options.cluster === undefined) await cluster?.close();
  }
}

/** Starts the worker, or the group, and stops it when each partition has reached the end that it had before. */
async function runToEnd(
  target: AnyWorker | WorkerGroup,
  view: GroupView,
  tell: (line: string) => void,
  { signal, run, isEndless }: RunOptions & { readonly isEndless: boolean },
): Promise<Pick<ExampleRun, 'error'> & { readonly ending: RunEnding }> {
  const ends = await view.endOffsets();
  const worker = firstOf(target);
  worker.on('assigned', ({ partitions }) =>
    tell(`assigned ${partitions.map(({ partition }) => partition).join(', ')}`),
  );
  worker.on('committed', ({ offsets }) =>
    tell(`committed ${offsets.map((o) => `${o.partition} → ${o.offset}`).join(', ')}`),
  );
  const ran = run?.(target, tell) ?? target.start();
  if (run === undefined) await ran;
  let hasEnded = false;
  const ended = target.finished.then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  void ended.then(() => {
    hasEnded = true;
  });
  while (!hasEnded && signal?.aborted !== true && (isEndless || !(await hasReached(ends, worker, view)))) {
    const areAllHere = worker.status().partitions.length === ends.size;
    await Promise.race([ended, sleep(areAllHere ? LOOK_EVERY_MS : LOOK_ELSEWHERE_EVERY_MS)]);
  }
  // Stopped, it has no partitions any more.
  const { partitions } = worker.status();
  const isCutShort = hasEnded || signal?.aborted === true;
  await target.stop();
  await ran;
  const error = await ended;
  return { ...(error === undefined ? {} : { error }), ending: { ends, partitions, isCutShort } };
}

function firstOf(target: AnyWorker | WorkerGroup): AnyWorker {
  if (!('workers' in target)) return target;
  const [worker] = target.workers;
  if (worker === undefined) throw new Error('the group has no workers');
  return worker;
}

/** Whether every partition is finished up to its end, or frozen: here, or by other members of the group. */
async function hasReached(ends: ReadonlyMap<number, number>, worker: AnyWorker, view: GroupView): Promise<boolean> {
  const { here, elsewhere } = partitionsBehind(ends, worker.status().partitions);
  if (here.length > 0) return false;
  if (elsewhere.length === 0) return true;
  const committed = await view.committed();
  return elsewhere.every((partition) => (committed.get(partition) ?? 0) >= (ends.get(partition) ?? 0));
}
