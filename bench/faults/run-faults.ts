import { setTimeout as sleep } from 'node:timers/promises';
import type { NumberedRecords } from './numbered-records.ts';
import type { WorkerProcess, WorkerProcesses } from './worker-processes.ts';

/** Where workers write what they make of the records of a topic. */
export interface FaultedWorld<Verdict> {
  readonly input: Pick<NumberedRecords, 'produced' | 'produce'>;
  /** How much the workers have written; undefined while nobody knows. */
  written(): Promise<number | undefined>;
  /** Once no worker runs any more. */
  verdict(): Promise<Verdict>;
}

/** How many records there were, and what is wrong with them, which has to be 0. */
export interface RecordsVerdict {
  readonly records: number;
  readonly lost: number;
  readonly repeated: number;
  readonly orderViolations: number;
}

/** Each makes one fault of a kind, of which there have been so many before. */
export type StagedFaults<Kinds> = { readonly [Kind in keyof Kinds]: (times: number) => Promise<void> };

/** Transactions that fail because of what the handlers do: nobody has to stage them. */
export interface AbortedTransactions {
  readonly abortedTransactions: number;
}

export interface RunFaultsOptions<Verdict, Kinds> {
  readonly world: FaultedWorld<Verdict>;
  /** Its processes say `aborted` when a transaction does. */
  readonly fleet: Pick<WorkerProcesses<{ readonly name: string }>, 'members' | 'failed' | 'leave' | 'said'> & {
    join(): WorkerProcess;
  };
  readonly staged: StagedFaults<Kinds>;
  /** At least so many, and as many more as it takes until every fault has happened. */
  readonly records: number;
  readonly minimums: Kinds & AbortedTransactions;
  readonly random: () => number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What came of it. */
export type FaultsVerdict<Verdict, Kinds> = Verdict & {
  readonly faults: Kinds & AbortedTransactions;
  readonly violations: readonly string[];
};

const WORKERS = 3;
/** What lies ahead of the workers: enough that nobody is ever idle when something happens. */
const BACKLOG = 3_000;
const CHUNK = 500;
const STALLED_MS = 120_000;

/** Workers write records, each once, while everything goes wrong that can. */
export async function runFaults<
  Verdict extends RecordsVerdict,
  Kinds extends { readonly [Kind in keyof Kinds]: number },
>(options: RunFaultsOptions<Verdict, Kinds>): Promise<FaultsVerdict<Verdict, Kinds>> {
  const { world, fleet, minimums, records } = options;
  const made = new FaultMaker(options);
  for (let i = 0; i < WORKERS; i++) fleet.join();
  const isOver = new AbortController();
  const feeding = feed(options, () => made.isDone && world.input.produced >= records, isOver.signal);
  feeding.catch(() => {});
  try {
    await made.run(feeding);
    await feeding;
    await untilWritten(options);
  } finally {
    isOver.abort();
  }
  for (const worker of [...fleet.members]) await fleet.leave(worker);
  const violations = [...fleet.failed];
  const verdict = await world.verdict();
  const faults = made.counts();
  for (const name of Object.keys(minimums) as (keyof typeof minimums)[])
    if (faults[name] < minimums[name])
      violations.push(`${faults[name]} ${String(name)}, ${minimums[name]} are the minimum`);
  for (const [name, figure] of Object.entries(verdict) as [string, number][])
    if (name !== 'records' && figure !== 0) violations.push(`${name}: ${figure}`);
  if (verdict.records < records) violations.push(`only ${verdict.records} records`);
  return { ...verdict, faults, violations };
}

/** Keeps the workers busy until it is done. */
async function feed<Verdict, Kinds>(
  { world, signal }: RunFaultsOptions<Verdict, Kinds>,
  isDone: () => boolean,
  isOver: AbortSignal,
): Promise<void> {
  while (!isDone() && !isOver.aborted) {
    signal.throwIfAborted();
    const written = await world.written();
    if (written !== undefined && world.input.produced - written < BACKLOG) await world.input.produce(CHUNK);
    else await sleep(50);
  }
}

async function untilWritten<Verdict, Kinds>({ world, fleet, signal }: RunFaultsOptions<Verdict, Kinds>): Promise<void> {
  let last = -1;
  let since = Date.now();
  for (;;) {
    signal.throwIfAborted();
    const written = (await world.written()) ?? last;
    // More of them would be seen as repeated.
    if (written >= world.input.produced) break;
    if (written !== last) since = Date.now();
    last = written;
    if (Date.now() - since > STALLED_MS)
      throw new Error(
        `nothing is written any more after ${written} of ${world.input.produced}: ${fleet.failed.join('; ')}`,
      );
    await sleep(200);
  }
  // What is written twice may come after everything has been written once.
  await sleep(3_000);
}

class FaultMaker<Verdict, Kinds extends { readonly [Kind in keyof Kinds]: number }> {
  readonly #options: RunFaultsOptions<Verdict, Kinds>;
  readonly #kinds: readonly (keyof Kinds)[];
  readonly #counts: { [Kind in keyof Kinds]: number };
  isDone = false;

  constructor(options: RunFaultsOptions<Verdict, Kinds>) {
    this.#options = options;
    this.#kinds = Object.keys(options.staged) as (keyof Kinds)[];
    this.#counts = Object.fromEntries(this.#kinds.map((kind) => [kind, 0])) as { [Kind in keyof Kinds]: number };
  }

  counts(): Kinds & AbortedTransactions {
    return { ...(this.#counts as Kinds), abortedTransactions: this.#options.fleet.said('aborted') };
  }

  /** Until each kind has its minimum, and as many records are written as there have to be. Rejects as the feeding does. */
  async run(feeding: Promise<void>): Promise<void> {
    const { world, fleet, staged, minimums, random, signal, say, records } = this.#options;
    const failed = feeding.then(() => {});
    let told = 0;
    while (!signal.aborted) {
      const missing = this.#kinds.filter((kind) => this.#counts[kind] < minimums[kind]);
      const isEnough = this.counts().abortedTransactions >= minimums.abortedTransactions;
      if (missing.length === 0 && isEnough && ((await world.written()) ?? 0) >= records) break;
      if (missing.length > 0) await Promise.race([failed, this.#untilBusy()]);
      const kind = missing[Math.floor(random() * missing.length)];
      if (kind !== undefined) {
        say(`${String(kind)}, after ${(await world.written()) ?? 'some'} records`);
        await staged[kind](this.#counts[kind]);
        this.#counts[kind]++;
        for (const failure of fleet.failed.slice(told)) say(`VIOLATED: ${failure}`);
        told = fleet.failed.length;
      }
      await Promise.race([failed, sleep(300 + random() * 2_000)]);
    }
    this.isDone = true;
    signal.throwIfAborted();
  }

  /** Until the group has got over the last fault, and done its share of the records. Rejects when nothing gets better. */
  async #untilBusy(): Promise<void> {
    const { world, fleet, records, minimums, signal } = this.#options;
    const all = this.#kinds.reduce((sum, kind) => sum + minimums[kind], 0);
    const before = await world.written();
    const deadline = Date.now() + STALLED_MS;
    for (;;) {
      signal.throwIfAborted();
      const written = await world.written();
      if (written !== undefined && written >= (before ?? 0) + Math.floor(records / (2 * all))) return;
      if (fleet.members.length === 0 || Date.now() > deadline) {
        const said = fleet.members.map(
          ({ name, lines, errors }) => `${name} said ${lines.slice(-3).join(', ')}, and on stderr ${errors()}`,
        );
        throw new Error(
          `too little is written, ${written} of ${world.input.produced} by now: ${[...fleet.failed, ...said].join('; ')}`,
        );
      }
      await sleep(100);
    }
  }
}
