import { seededRandom } from '../chaos/random.ts';
import { anyOf, type ProcessFaults, processFaults } from '../faults/process-faults.ts';
import { type AbortedTransactions, type FaultsVerdict, runFaults } from '../faults/run-faults.ts';
import { DatabaseFleet } from './database-fleet.ts';
import type { DatabaseWorkerOptions } from './database-worker-process.ts';
import { type DatabaseVerdict, DatabaseWorld } from './database-world.ts';

/** What is done to workers and servers, and how often. A handler that throws when it has written aborts a transaction. */
export interface DatabaseFaults extends ProcessFaults {
  /** All connections of a worker, cut by the server. */
  readonly brokenConnections: number;
  /** PostgreSQL stopped, in order or as if it had crashed, and started again. */
  readonly serverRestarts: number;
}

/** What the run is given to work with. */
export interface DatabaseFaultsOptions {
  readonly brokers: string;
  readonly postgresUrl: string;
  readonly records: number;
  readonly minimums: DatabaseFaults & AbortedTransactions;
  readonly seed: number;
  /** Who fetches the workers' records. */
  readonly reader: DatabaseWorkerOptions['reader'];
  readonly restartServer: (how: 'fast' | 'immediate') => Promise<void>;
  readonly restartBroker: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Workers write records to PostgreSQL, each once, while everything goes wrong that can. */
export async function runDatabaseFaults(
  options: DatabaseFaultsOptions,
): Promise<FaultsVerdict<DatabaseVerdict, DatabaseFaults>> {
  const { brokers, reader, postgresUrl, records, minimums, seed, restartServer, restartBroker, say, signal } = options;
  const world = await DatabaseWorld.open(brokers, postgresUrl);
  const fleet = new DatabaseFleet({
    ...{ brokers, reader, postgresUrl, schema: world.schema, topic: world.input.topic, groupId: world.input.topic },
    ...{ idleInTransactionTimeoutMs: 8_000, lockTimeoutMs: 1_000, abortedShare: 0.005 },
  });
  const random = seededRandom(seed);
  try {
    return await runFaults<DatabaseVerdict, DatabaseFaults>({
      ...{ world, fleet, records, minimums, random, say, signal },
      staged: {
        ...processFaults(fleet, random, restartBroker),
        brokenConnections: () => world.cutConnections(anyOf(fleet, random).name),
        serverRestarts: (times) => restartServer(times % 2 === 0 ? 'immediate' : 'fast'),
      },
    });
  } finally {
    say('ending');
    await fleet.close();
    await world.close();
  }
}
