// Workers write records into PostgreSQL while processes, connections and servers fail. Options: --records N --faults N (of most kinds) --seed N --reader librdkafka|direct --json.
// The last line of --json is the verdict. It starts a Kafka and a PostgreSQL of its own, which it stops and starts.

import { runDatabaseFaults } from '../bench/exactly-once-database/run-database-faults.ts';
import { oneBroker } from '../bench/faults/faulted-kafka.ts';
import { faultsCommand, oftenAndSeldom } from './faults-command.ts';
import { startPrivatePostgres } from './private-postgres.ts';

await faultsCommand({ script: 'exactly-once-database.ts', startKafka: oneBroker }, async ({ faults, ...given }) => {
  const { often, less, seldom } = oftenAndSeldom(faults);
  const postgres = await startPrivatePostgres(given.say, given.signal);
  try {
    return await runDatabaseFaults({
      ...{ ...given, postgresUrl: postgres.url, restartServer: postgres.restart },
      minimums: {
        ...{ kills: often, rebalances: often, pauses: seldom, brokerRestarts: seldom },
        ...{ brokenConnections: often, serverRestarts: less, abortedTransactions: often },
      },
    });
  } finally {
    await postgres.stop();
  }
});
