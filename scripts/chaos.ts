// npm run chaos -- [--seconds N] [--seed N] [--protocol classic|consumer|both] [--reader librdkafka|direct] [--json]
// Workers come, leave and are killed, and brokers restart, while records flow. The last line of --json is the verdict.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChaos } from '../bench/chaos/run-chaos.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import { type Interrupted, interruption } from './interruption.ts';

const usage =
  'npm run chaos -- [--seconds N] [--seed N] [--protocol classic|consumer|both] [--reader librdkafka|direct] [--json]';
const options = {
  seconds: { type: 'string', default: '300' },
  seed: { type: 'string', default: '1' },
  protocol: { type: 'string', default: 'both' },
  reader: { type: 'string', default: 'librdkafka' },
  json: { type: 'boolean', default: false },
} as const;
const protocols = { classic: ['classic'], consumer: ['consumer'], both: ['classic', 'consumer'] } as const;

try {
  const { values } = readCommandLine({ usage, options }, process.argv.slice(2));
  const protocol = values.protocol as keyof typeof protocols;
  if (!Object.hasOwn(protocols, protocol))
    throw new UsageError(`--protocol is classic, consumer or both\nusage: ${usage}`);
  const { reader } = values;
  if (reader !== 'librdkafka' && reader !== 'direct')
    throw new UsageError(`--reader is librdkafka or direct\nusage: ${usage}`);
  await main(
    wholeNumber('seconds', values.seconds),
    wholeNumber('seed', values.seed),
    protocols[protocol],
    reader,
    values.json,
  );
} catch (error) {
  reportFailure(error);
}

async function main(
  seconds: number,
  seed: number,
  protocolsInTurn: readonly ('classic' | 'consumer')[],
  reader: 'librdkafka' | 'direct',
  asJson: boolean,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-chaos-'));
  const say = (line: string): void => console.log(line);
  const signal = interruption();
  let isToBeKept = true;
  try {
    const verdict = await runChaos({
      seconds,
      seed,
      protocols: protocolsInTurn,
      reader,
      directory,
      say,
      signal,
    });
    const { violations, ...figures } = verdict;
    for (const [name, figure] of Object.entries(figures))
      say(`${name}: ${typeof figure === 'object' ? JSON.stringify(figure) : figure}`);
    for (const violation of violations) say(`VIOLATED: ${violation}`);
    say(violations.length === 0 ? 'all of it held' : `${violations.length} violations, with seed ${seed}`);
    isToBeKept = violations.length > 0;
    if (isToBeKept) process.exitCode = 1;
    if (asJson) console.log(JSON.stringify({ ...figures, seed, protocols: protocolsInTurn, reader, violations }));
  } catch (error) {
    if (!signal.aborted) throw error;
    console.error((signal.reason as Interrupted).message);
    isToBeKept = false;
    process.exitCode = 1;
  } finally {
    if (!isToBeKept) rmSync(directory, { recursive: true, force: true });
    else console.error(`the traces and the logs of the workers are in ${directory}`);
  }
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number === 0)
    throw new UsageError(`--${name} is a whole number from 1 on, not ${JSON.stringify(text)}\nusage: ${usage}`);
  return number;
}
