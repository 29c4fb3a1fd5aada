import type { HandlerCall } from './handler-calls.ts';

/** What the calls of a run say about it. */
export interface CallFigures {
  /** Distinct records that reached the handler. */
  readonly records: number;
  /** Records whose last call succeeded. */
  readonly handled: number;
  /** Records whose last call failed. */
  readonly failed: number;
  /** From the start of the first call to the end of the last. */
  readonly seconds: number;
  /** The largest number of calls at once. */
  readonly maxConcurrent: number;
  /** Whether calls followed each other in offset order, one after the other, within each partition and within each key. */
  readonly order: { readonly partition: boolean; readonly key: boolean };
}

/** The line that `--json` ends with. */
export interface ExampleSummary extends CallFigures {
  readonly example: string;
  readonly kafka: string;
  readonly topic: string;
  readonly group: string;
  /** Of a run that went on for long: so many calls, the first ones, are in none of the figures. */
  readonly callsLeftOut?: number;
  /** Next offsets by `topic/partition`, as Kafka has them after the run. */
  readonly committed: Readonly<Record<string, number>>;
  /** What else an example has to show. */
  readonly result?: ExampleResult;
}

/** Figures of an example's own, by their names. */
export type ExampleResult = Readonly<Record<string, number | Readonly<Record<string, number>>>>;

/** Recomputes every figure from the calls alone, in whatever order they are given. */
export function figuresOf(unsorted: readonly HandlerCall[]): CallFigures {
  const calls = [...unsorted].sort((a, b) => a.start - b.start || a.end - b.end);
  const last = new Map<string, HandlerCall>();
  let startMs = Number.POSITIVE_INFINITY;
  let endMs = Number.NEGATIVE_INFINITY;
  for (const call of calls) {
    last.set(`${call.topic}/${call.partition}/${call.offset}`, call);
    startMs = Math.min(startMs, call.start);
    endMs = Math.max(endMs, call.end);
  }
  const outcomes = [...last.values()];
  const handled = outcomes.filter((call) => call.outcome === 'ok').length;
  return {
    records: outcomes.length,
    handled,
    failed: outcomes.length - handled,
    seconds: calls.length === 0 ? 0 : Math.round(endMs - startMs) / 1_000,
    maxConcurrent: maxConcurrentOf(calls),
    order: {
      partition: isInOrder(calls, (call) => `${call.topic}/${call.partition}`),
      key: isInOrder(calls, (call) => (call.key === null ? undefined : `${call.topic}/${call.partition}/${call.key}`)),
    },
  };
}

/** The largest number of partitions that had calls running at once. */
export function maxPartitionsAtOnce(calls: readonly HandlerCall[]): number {
  const sorted = [...calls].sort((a, b) => a.start - b.start || a.end - b.end);
  return mostAtOnce(sorted, (active) => new Set(active.map(({ topic, partition }) => `${topic}/${partition}`)).size);
}

function maxConcurrentOf(calls: readonly HandlerCall[]): number {
  return mostAtOnce(calls, (active) => {
    const batches = new Set(active.flatMap(({ batch }) => (batch === undefined ? [] : [batch])));
    return batches.size + active.filter(({ batch }) => batch === undefined).length;
  });
}

/** `calls` by start. A call that begins when another ends is not at once with it. */
function mostAtOnce(calls: readonly HandlerCall[], count: (active: readonly HandlerCall[]) => number): number {
  let active: HandlerCall[] = [];
  let most = 0;
  for (const call of calls) {
    active = active.filter((other) => other.end > call.start);
    active.push(call);
    most = Math.max(most, count(active));
  }
  return most;
}

/** Whether within each lane no call began before the one before it had ended, and offsets never went back. */
function isInOrder(calls: readonly HandlerCall[], laneOf: (call: HandlerCall) => string | undefined): boolean {
  const latest = new Map<string, Pick<HandlerCall, 'offset' | 'end' | 'batch'>>();
  for (const call of calls) {
    const lane = laneOf(call);
    if (lane === undefined) continue;
    const before = latest.get(lane);
    const { offset, end, batch, outcome } = call;
    const isOneCall = batch !== undefined && before?.batch === batch;
    if (before !== undefined && (before.offset > offset || (before.end > call.start && !isOneCall))) return false;
    // What failed in a batch comes again from its first record on.
    const isAgain = batch !== undefined && outcome === 'error';
    latest.set(lane, { offset: isAgain ? (before?.offset ?? -1) : offset, end, ...(batch !== undefined && { batch }) });
  }
  return true;
}
