// npm run postgres -- start | stop | status, each [--directory DIR]

import { join, resolve } from 'node:path';
import { readCommandLine, UsageError } from './command-line.ts';
import { interruption } from './interruption.ts';
import { postgresVersion } from './postgres-programs.ts';
import { runningPostgres, startPostgres, stopPostgres } from './postgres-server.ts';

const usage = 'npm run postgres -- start | stop | status, each with [--directory DIR], which is .postgres otherwise';
const options = { directory: { type: 'string', default: join(import.meta.dirname, '..', '.postgres') } } as const;
const [command = '', ...rest] = process.argv.slice(2);

try {
  if (!['start', 'stop', 'status'].includes(command)) throw new UsageError(`usage: ${usage}`);
  const directory = resolve(readCommandLine({ usage, options }, rest).values.directory);
  if (command === 'stop') console.log((await stopPostgres(directory)) ? 'stopped' : 'no server was running');
  else {
    if (command === 'start') await startPostgres({ directory, signal: interruption() });
    status(directory);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

function status(directory: string): void {
  const server = runningPostgres(directory);
  console.log(
    server === undefined
      ? 'not running'
      : `PostgreSQL ${postgresVersion()} is running on ${server.url} (pid ${server.pid})`,
  );
  if (server === undefined) process.exitCode = 3;
}
