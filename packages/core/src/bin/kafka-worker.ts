#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { toError } from '../kafka-worker-error.ts';
import { interruption } from './interruption.ts';
import { redriveCommand } from './redrive-command.ts';
import { UsageError } from './usage-error.ts';

const usage = `usage: kafka-worker COMMAND [options]

  redrive    sends dead letters back to where they came from

  --help     this text; kafka-worker COMMAND --help tells about a command
  --version  the version of @kafka-worker/core`;

async function main([command, ...rest]: readonly string[]): Promise<number> {
  switch (command) {
    case 'redrive':
      return await redriveCommand(rest, process, interruption());
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(`${usage}\n`);
      return 0;
    case '--version': {
      const file = new URL('../../package.json', import.meta.url);
      const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string };
      process.stdout.write(`${version}\n`);
      return 0;
    }
    case undefined:
      throw new UsageError(`which command?\n\n${usage}`);
    default:
      throw new UsageError(`there is no ${JSON.stringify(command)}; it knows redrive, --help, --version`);
  }
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`kafka-worker: ${error.message}\n`);
    return 2;
  }
  process.stderr.write(`kafka-worker: ${toError(error).stack ?? toError(error).message}\n`);
  return 1;
}

/** A native handle that cannot be closed must not keep the process for ever. */
const KILL_AFTER_MS = 10_000;

// Set, and not exited with: `process.exit` can crash with live native clients.
void main(process.argv.slice(2))
  .catch(report)
  .then((exitCode) => {
    process.exitCode = exitCode;
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), KILL_AFTER_MS).unref();
  });
