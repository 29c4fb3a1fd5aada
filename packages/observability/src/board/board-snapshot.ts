import type { AnyWorker, LaneStatus, PartitionStatus, WorkerGroup, WorkerState } from '@kafka-worker/core';
import { withoutQuotedJson } from '../error-text.ts';
import { clip } from './clip.ts';
import type { Rates } from './rates.ts';
import type { RecentFailure, RecentFailures } from './recent-failures.ts';

/** More partitions than this nobody reads; those with trouble come first then. */
const MAX_PARTITIONS = 200;
const MAX_FROZEN = 100;
const MAX_REASONS = 30;
const MAX_LANES = 10;
const MAX_TEXT = 400;
const MAX_KEY = 100;

/** Whose partition or lane it is; `worker` is the number by which the board knows it. */
interface OfWorker {
  readonly worker: number;
}

/** A partition, and what holds it up. */
interface BoardPartition extends OfWorker, Omit<PartitionStatus, 'frozen'> {
  /** How many of it stand still: the partition, or keys. */
  readonly frozen: number;
}

/** Where a partition, or a key, stands still. */
type BoardFrozen = OfWorker &
  Pick<PartitionStatus, 'topic' | 'partition'> &
  Omit<PartitionStatus['frozen'][number], 'since'>;

/** What the page shows, as it is sent. */
export interface BoardSnapshot {
  readonly name: string;
  readonly state: WorkerState;
  readonly live: boolean;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly moreReasons: number;
  readonly workers: readonly {
    readonly id: number;
    readonly name: string;
    readonly state: WorkerState;
    readonly partitions: number;
  }[];
  readonly totals: {
    readonly partitions: number;
    /** Of those partitions whose end is known. */
    readonly lag: number;
    readonly inFlightRecords: number;
    readonly inFlightBytes: number;
    readonly lanes: number;
    readonly runningCalls: number;
  };
  readonly partitions: readonly BoardPartition[];
  readonly morePartitions: number;
  readonly frozen: readonly BoardFrozen[];
  readonly moreFrozen: number;
  /** Those that most records wait in. */
  readonly lanes: readonly (OfWorker & LaneStatus)[];
  /** Per second, the oldest first. */
  readonly rates: ReturnType<Rates['values']>;
  readonly failures: readonly RecentFailure[];
  readonly failuresLeftOut: number;
  /** Whether there are buttons. */
  readonly hasActions: boolean;
}

/** What a snapshot is made from. */
export interface SnapshotSource {
  readonly target: AnyWorker | WorkerGroup;
  readonly idOf: (worker: AnyWorker) => number;
  readonly rates: Rates;
  readonly failures: RecentFailures;
  readonly hasActions: boolean;
}

/** The workers as they are now; nothing in it is longer than a page can show. */
export function boardSnapshot({ target, idOf, rates, failures, hasActions }: SnapshotSource): BoardSnapshot {
  const workers = workersOf(target).map((worker) => ({ worker, id: idOf(worker), status: worker.status() }));
  const all = workers.flatMap(({ id, status }) => status.partitions.map((one) => ({ ...one, worker: id })));
  // Of a worker that has ended, nothing can go on.
  const ended = new Set(workers.filter(({ status }) => status.state !== 'running').map(({ id }) => id));
  const going = all.filter(({ worker }) => !ended.has(worker));
  const frozen = going.flatMap(({ worker, topic, partition, frozen: of }) =>
    of.map(({ since: _since, key, error, ...one }) => ({
      ...{ worker, topic, partition, ...one, key: shortKey(key), error: clip(withoutQuotedJson(error), MAX_TEXT) },
    })),
  );
  const lanes = workers.flatMap(({ id, status }) => status.lanes.fullest.map((lane) => ({ ...lane, worker: id })));
  const { live, ready, reasons } = target.health();
  return {
    ...{ name: target.name, state: target.state, live, ready, hasActions },
    reasons: reasons.slice(0, MAX_REASONS).map((reason) => clip(withoutQuotedJson(reason), MAX_TEXT)),
    moreReasons: Math.max(0, reasons.length - MAX_REASONS),
    workers: workers.map(({ worker, id, status }) => ({
      ...{ id, name: worker.name, state: worker.state, partitions: status.partitions.length },
    })),
    totals: {
      partitions: all.length,
      lag: sum(all.map(({ lag }) => lag ?? 0)),
      inFlightRecords: sum(workers.map(({ status }) => status.inFlightRecords)),
      inFlightBytes: sum(workers.map(({ status }) => status.inFlightBytes)),
      lanes: sum(workers.map(({ status }) => status.lanes.open)),
      runningCalls: sum(workers.map(({ status }) => status.lanes.runningCalls)),
    },
    partitions: shown(all).map(boardPartition),
    morePartitions: Math.max(0, all.length - MAX_PARTITIONS),
    frozen: frozen.slice(0, MAX_FROZEN),
    moreFrozen: Math.max(0, frozen.length - MAX_FROZEN),
    lanes: lanes
      .sort((a, b) => b.queued - a.queued)
      .slice(0, MAX_LANES)
      .map((lane) => ({ ...lane, name: shortKey(lane.name) })),
    rates: rates.values(),
    failures: failures.list(),
    failuresLeftOut: failures.leftOut,
  };
}

/** Those that there are now. */
export function workersOf(target: AnyWorker | WorkerGroup): readonly AnyWorker[] {
  return 'workers' in target ? target.workers : [target];
}

type Owned = PartitionStatus & OfWorker;

/** In an order that stays, so that no row moves under somebody's finger. */
function shown(partitions: readonly Owned[]): Owned[] {
  const chosen =
    partitions.length <= MAX_PARTITIONS
      ? [...partitions]
      : [...partitions].sort((a, b) => trouble(b) - trouble(a) || (b.lag ?? 0) - (a.lag ?? 0)).slice(0, MAX_PARTITIONS);
  return chosen.sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition || a.worker - b.worker);
}

function trouble({ frozen, stillMs }: Owned): number {
  return frozen.length > 0 ? Number.POSITIVE_INFINITY : stillMs;
}

function boardPartition({ frozen, blockedBy, ...rest }: Owned): BoardPartition {
  return {
    ...rest,
    frozen: frozen.length,
    ...(blockedBy === undefined ? {} : { blockedBy: { ...blockedBy, key: shortKey(blockedBy.key) } }),
  };
}

function shortKey<T extends string | null | undefined>(key: T): T {
  return typeof key === 'string' ? (clip(key, MAX_KEY) as T) : key;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
