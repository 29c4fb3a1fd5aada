import type { StartFaultedKafka } from '../bench/faults/faulted-kafka.ts';
import type { FaultsVerdict, RecordsVerdict } from '../bench/faults/run-faults.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import { type Interrupted, interruption } from './interruption.ts';
import { type ProvenReader, readerNamed, readers } from './proven-reader.ts';
import { wholeNumber } from './whole-number.ts';

/** What a proof by faults is told by its command line, and given to work with. */
export interface FaultsRun {
  readonly records: number;
  readonly faults: number;
  readonly seed: number;
  /** Who fetches the workers' records. */
  readonly reader: ProvenReader;
  /** Whether what it proves is broken on purpose. */
  readonly isBroken: boolean;
  readonly brokers: string;
  /** That a partition has. */
  readonly replicas: number;
  readonly restartBroker: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const options = {
  records: { type: 'string', default: '100000' },
  faults: { type: 'string', default: '8' },
  seed: { type: 'string', default: '1' },
  reader: { type: 'string', default: 'librdkafka' },
  json: { type: 'boolean', default: false },
} as const;
const more = {
  break: { type: 'boolean', default: false },
  'one-broker': { type: 'boolean', default: false },
} as const;

/** A proof by faults, as a command. */
export interface FaultsCommand {
  /** Its file's name. */
  readonly script: string;
  readonly startKafka: StartFaultedKafka;
  /** Where it can do with less, which it is told by `--one-broker`. */
  readonly startOneBroker?: StartFaultedKafka;
  /** Whether what it proves can be broken on purpose, by `--break`. */
  readonly canBreak?: boolean;
}

/**
 * Runs it with a Kafka of its own, and prints what came of it; the last line of `--json` is the verdict. A violation, or an interruption, ends the
 * command with 1.
 */
export async function faultsCommand<Verdict extends RecordsVerdict, Kinds>(
  { script, startKafka, startOneBroker, canBreak = false }: FaultsCommand,
  run: (given: FaultsRun) => Promise<FaultsVerdict<Verdict, Kinds>>,
): Promise<void> {
  const known = [...(canBreak ? ['break'] : []), ...(startOneBroker === undefined ? [] : ['one-broker'])];
  const flags = known.map((flag) => ` [--${flag}]`).join('');
  const usage = `scripts/${script} [--records N] [--faults N] [--seed N] [--reader ${readers.join('|')}]${flags} [--json]`;
  try {
    const { values } = readCommandLine({ usage, options: { ...options, ...more } }, process.argv.slice(2));
    for (const flag of ['break', 'one-broker'] as const)
      if (values[flag] && !known.includes(flag)) throw new UsageError(`there is no --${flag}\nusage: ${usage}`);
    const number = (name: 'records' | 'faults' | 'seed'): number => wholeNumber(name, values[name], usage);
    const [records, faults, seed] = [number('records'), number('faults'), number('seed')];
    const reader = readerNamed(values.reader, usage);
    const start = values['one-broker'] ? (startOneBroker ?? startKafka) : startKafka;
    await main({ records, faults, seed, reader, isBroken: values.break, asJson: values.json }, start, run);
  } catch (error) {
    reportFailure(error);
  }
}

/** How often each kind happens, and those that cost seconds each. */
export function oftenAndSeldom(faults: number): {
  readonly often: number;
  readonly less: number;
  readonly seldom: number;
} {
  return { often: faults, less: Math.max(1, Math.floor(faults / 2)), seldom: Math.max(1, Math.floor(faults / 4)) };
}

async function main<Verdict extends RecordsVerdict, Kinds>(
  {
    asJson,
    ...told
  }: Pick<FaultsRun, 'records' | 'faults' | 'seed' | 'reader' | 'isBroken'> & {
    readonly asJson: boolean;
  },
  startKafka: StartFaultedKafka,
  run: (given: FaultsRun) => Promise<FaultsVerdict<Verdict, Kinds>>,
): Promise<void> {
  const signal = interruption();
  const say = (line: string): void => console.log(line);
  try {
    const { bootstrap: brokers, replicas, restartBroker, stop } = await startKafka(say, signal);
    try {
      const verdict = await run({ ...told, brokers, replicas, restartBroker, say, signal });
      report(verdict, told, asJson, say);
    } finally {
      await stop();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    console.error((signal.reason as Interrupted).message);
    process.exitCode = 1;
  }
}

function report(
  { violations, ...figures }: RecordsVerdict & { readonly violations: readonly string[] },
  { seed, reader }: Pick<FaultsRun, 'seed' | 'reader'>,
  asJson: boolean,
  say: (line: string) => void,
): void {
  for (const [name, figure] of Object.entries(figures))
    say(`${name}: ${typeof figure === 'object' ? JSON.stringify(figure) : figure}`);
  for (const violation of violations) say(`VIOLATED: ${violation}`);
  if (violations.length > 0) process.exitCode = 1;
  if (asJson) say(JSON.stringify({ ...figures, seed, reader, violations }));
}
