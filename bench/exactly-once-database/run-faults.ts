import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../chaos/random.ts';
import { DatabaseFleet, type FleetWorker } from './database-fleet.ts';
import { type DatabaseVerdict, DatabaseWorld } from './database-world.ts';

/** What is done to workers and servers, and how often. */
export interface Faults {
  /** A process ended by SIGKILL in whatever it was doing. */
  readonly kills: number;
  /** A process that comes, and one that leaves in order. */
  readonly rebalances: number;
  /** A process that stands still for longer than its session, and then goes on. */
  readonly pauses: number;
  /** All connections of a worker, cut by the server. */
  readonly brokenConnections: number;
  /** PostgreSQL stopped, in order or as if it had crashed, and started again. */
  readonly serverRestarts: number;
  readonly brokerRestarts: number;
  /** A handler that throws when it has written. */
  readonly abortedTransactions: number;
}

/** What the run is given to work with. */
export interface RunFaultsOptions {
  readonly brokers: string;
  readonly postgresUrl: string;
  /** At least so many, and as many more as it takes until every fault has happened. */
  readonly records: number;
  readonly minimums: Faults;
  readonly seed: number;
  readonly restartServer: (how: 'fast' | 'immediate') => Promise<void>;
  readonly restartBroker: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface FaultsVerdict extends DatabaseVerdict {
  readonly faults: Faults;
  readonly violations: readonly string[];
}

/** Those that are made; handlers throw by themselves. */
type Staged = keyof Omit<Faults, 'abortedTransactions'>;

const WORKERS = 3;
/** Above the 6 s of the workers' sessions. */
const PAUSE_MS = 9_000;
/** What lies ahead of the workers: enough that nobody is ever idle when something happens. */
const BACKLOG = 3_000;
const CHUNK = 500;
const STALLED_MS = 120_000;

/** Workers write records to PostgreSQL, each once, while everything goes wrong that can. */
export async function runFaults(options: RunFaultsOptions): Promise<FaultsVerdict> {
  const { brokers, postgresUrl, minimums, say, signal } = options;
  const world = await DatabaseWorld.open(brokers, postgresUrl);
  const fleet = new DatabaseFleet({
    ...{ brokers, postgresUrl, schema: world.schema, topic: world.topic, groupId: world.topic },
    ...{ idleInTransactionTimeoutMs: 8_000, lockTimeoutMs: 1_000, abortedShare: 0.005 },
  });
  try {
    const made = new FaultMaker(options, world, fleet);
    for (let i = 0; i < WORKERS; i++) fleet.join();
    const isOver = new AbortController();
    const feeding = feed(options, world, () => made.isDone && world.produced >= options.records, isOver.signal);
    feeding.catch(() => {});
    try {
      await made.run(feeding);
      await feeding;
      await untilWritten(world, fleet, signal);
    } finally {
      isOver.abort();
    }
    const violations = [...fleet.failed];
    for (const worker of [...fleet.members]) {
      const how = await fleet.end(worker, 'SIGTERM');
      if (!isInOrder(worker, how)) violations.push(`${worker.name} did not stop in order: ${how}`);
    }
    const verdict = await world.verdict();
    const faults = made.counts();
    for (const name of Object.keys(minimums) as (keyof Faults)[])
      if (faults[name] < minimums[name]) violations.push(`${faults[name]} ${name}, ${minimums[name]} are the minimum`);
    for (const name of ['lost', 'repeated', 'orderViolations', 'leftRows'] as const)
      if (verdict[name] !== 0) violations.push(`${name}: ${verdict[name]}`);
    if (verdict.records < options.records) violations.push(`only ${verdict.records} records`);
    return { ...verdict, faults, violations };
  } finally {
    say('ending');
    await fleet.close();
    await world.close();
  }
}

/** Keeps the workers busy until it is done. */
async function feed(
  { signal }: RunFaultsOptions,
  world: DatabaseWorld,
  isDone: () => boolean,
  isOver: AbortSignal,
): Promise<void> {
  while (!isDone() && !isOver.aborted) {
    signal.throwIfAborted();
    const written = await world.written();
    if (written !== undefined && world.produced - written < BACKLOG) await world.produce(CHUNK);
    else await sleep(50);
  }
}

async function untilWritten(world: DatabaseWorld, fleet: DatabaseFleet, signal: AbortSignal): Promise<void> {
  let last = -1;
  let since = Date.now();
  for (;;) {
    signal.throwIfAborted();
    const written = (await world.written()) ?? last;
    // More of them would be seen as repeated.
    if (written >= world.produced) break;
    if (written !== last) since = Date.now();
    last = written;
    if (Date.now() - since > STALLED_MS)
      throw new Error(`nothing is written any more after ${written} of ${world.produced}: ${fleet.failed.join('; ')}`);
    await sleep(200);
  }
  // What is written twice may come after everything has been written once.
  await sleep(3_000);
}

class FaultMaker {
  readonly #options: RunFaultsOptions;
  readonly #world: DatabaseWorld;
  readonly #fleet: DatabaseFleet;
  readonly #random: () => number;
  readonly #counts = { kills: 0, rebalances: 0, pauses: 0, brokenConnections: 0, serverRestarts: 0, brokerRestarts: 0 };
  isDone = false;

  constructor(options: RunFaultsOptions, world: DatabaseWorld, fleet: DatabaseFleet) {
    this.#options = options;
    this.#world = world;
    this.#fleet = fleet;
    this.#random = seededRandom(options.seed);
  }

  counts(): Faults {
    return { ...this.#counts, abortedTransactions: this.#fleet.said('aborted') };
  }

  /** Until each kind has its minimum, and as many records are written as there have to be. Rejects as the feeding does. */
  async run(feeding: Promise<void>): Promise<void> {
    const { minimums, signal, say, records } = this.#options;
    const failed = feeding.then(() => {});
    while (!signal.aborted) {
      const missing = (Object.keys(this.#counts) as Staged[]).filter((name) => this.#counts[name] < minimums[name]);
      const isEnough = this.counts().abortedTransactions >= minimums.abortedTransactions;
      if (missing.length === 0 && isEnough && ((await this.#world.written()) ?? 0) >= records) break;
      if (missing.length > 0) await Promise.race([failed, this.#untilBusy()]);
      const kind = missing[Math.floor(this.#random() * missing.length)];
      if (kind !== undefined) {
        say(`${kind}, after ${(await this.#world.written()) ?? 'some'} records`);
        await this.#make(kind);
        this.#counts[kind]++;
      }
      await Promise.race([failed, sleep(300 + this.#random() * 2_000)]);
    }
    this.isDone = true;
    signal.throwIfAborted();
  }

  async #make(kind: Staged): Promise<void> {
    const fleet = this.#fleet;
    switch (kind) {
      case 'kills':
        await fleet.end(this.#any(), 'SIGKILL');
        fleet.join();
        break;
      case 'rebalances': {
        fleet.join();
        await sleep(2_000 + this.#random() * 2_000);
        const leaving = this.#any();
        const how = await fleet.end(leaving, 'SIGTERM');
        if (!isInOrder(leaving, how)) fleet.failed.push(`${leaving.name} did not leave in order: ${how}`);
        break;
      }
      case 'pauses': {
        const paused = this.#any();
        paused.child.kill('SIGSTOP');
        // Others have it all to themselves meanwhile, and what else happens, happens to them.
        await sleep(PAUSE_MS);
        paused.child.kill('SIGCONT');
        break;
      }
      case 'brokenConnections':
        await this.#world.pool
          .query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
            this.#any().name,
          ])
          .catch(() => {});
        break;
      case 'serverRestarts':
        await this.#options.restartServer(this.#counts.serverRestarts % 2 === 0 ? 'immediate' : 'fast');
        break;
      case 'brokerRestarts':
        await this.#options.restartBroker(this.#counts.brokerRestarts % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
    }
  }

  #any(): FleetWorker {
    const { members, failed } = this.#fleet;
    const chosen = members[Math.floor(this.#random() * members.length)];
    if (chosen === undefined) throw new Error(`no worker is left: ${failed.join('; ')}`);
    return chosen;
  }

  /** Until the group has got over the last fault, and done its share of the records. Rejects when nothing gets better. */
  async #untilBusy(): Promise<void> {
    const { records, minimums, signal } = this.#options;
    const staged = Object.keys(this.#counts).reduce((sum, name) => sum + minimums[name as Staged], 0);
    const before = await this.#world.written();
    const deadline = Date.now() + STALLED_MS;
    for (;;) {
      signal.throwIfAborted();
      const written = await this.#world.written();
      if (written !== undefined && written >= (before ?? 0) + Math.floor(records / (2 * staged))) return;
      if (this.#fleet.members.length === 0 || Date.now() > deadline)
        throw new Error(`too little is written, ${written} by now: ${this.#fleet.failed.join('; ')}`);
      await sleep(100);
    }
  }
}

/** One that has said nothing yet was still loading, and had nothing to end. */
function isInOrder({ lines }: FleetWorker, how: number | string): boolean {
  return how === 0 || (how === 'SIGTERM' && lines.length === 0);
}
