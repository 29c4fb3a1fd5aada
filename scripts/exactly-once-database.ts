// Workers write records into PostgreSQL while processes, connections and servers fail. Options: --records N --faults N (of most kinds) --seed N --json.
// The last line of --json is the verdict. It starts a Kafka and a PostgreSQL of its own, which it stops and starts.

import { type Faults, runFaults } from '../bench/exactly-once-database/run-faults.ts';
import { endBroker, startBrokerAgain } from './broker-restart.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import { type Interrupted, interruption } from './interruption.ts';
import { startPrivateKafka } from './private-kafka.ts';
import { startPrivatePostgres } from './private-postgres.ts';

const usage = 'scripts/exactly-once-database.ts [--records N] [--faults N] [--seed N] [--json]';
const options = {
  records: { type: 'string', default: '100000' },
  faults: { type: 'string', default: '8' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
} as const;

try {
  const { values } = readCommandLine({ usage, options }, process.argv.slice(2));
  const [records, faults, seed] = [
    wholeNumber('records', values.records),
    wholeNumber('faults', values.faults),
    wholeNumber('seed', values.seed),
  ];
  await main(records, minimumsFor(faults), seed, values.json);
} catch (error) {
  reportFailure(error);
}

/** Those that cost seconds each happen less often. */
function minimumsFor(faults: number): Faults {
  const some = Math.max(1, Math.floor(faults / 2));
  return {
    ...{ kills: faults, rebalances: faults, brokenConnections: faults, serverRestarts: some },
    ...{ pauses: Math.max(1, Math.floor(faults / 4)), brokerRestarts: Math.max(1, Math.floor(faults / 4)) },
    abortedTransactions: faults,
  };
}

async function main(records: number, minimums: Faults, seed: number, asJson: boolean): Promise<void> {
  const signal = interruption();
  const say = (line: string): void => console.log(line);
  const postgres = await startPrivatePostgres(say, signal);
  try {
    const kafka = await startPrivateKafka(say, signal, { brokers: 1, secure: false });
    try {
      const { violations, ...figures } = await runFaults({
        ...{ records, minimums, seed, say, signal, postgresUrl: postgres.url, brokers: kafka.cluster.bootstrap },
        restartServer: postgres.restart,
        restartBroker: async (how) => {
          await endBroker(kafka.directory, 1, how);
          await startBrokerAgain(kafka.directory, 1);
        },
      });
      for (const [name, figure] of Object.entries(figures))
        say(`${name}: ${typeof figure === 'object' ? JSON.stringify(figure) : figure}`);
      for (const violation of violations) say(`VIOLATED: ${violation}`);
      if (violations.length > 0) process.exitCode = 1;
      if (asJson) say(JSON.stringify({ ...figures, seed, violations }));
    } finally {
      await kafka.stop();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    console.error((signal.reason as Interrupted).message);
    process.exitCode = 1;
  } finally {
    await postgres.stop();
  }
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number === 0)
    throw new UsageError(`--${name} is a whole number from 1 on, not ${JSON.stringify(text)}\nusage: ${usage}`);
  return number;
}
