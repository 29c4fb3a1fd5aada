// How do processes with live Kafka clients end, when they are signalled in any moment? Arguments: --runs N --seed N --json. The last line with --json
// is the evidence. None may crash, hang, or end otherwise than it says.

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sourceProgram } from '../packages/core/src/testing/source-program.ts';
import { root } from './child.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import { interruption } from './interruption.ts';

const program = fileURLToPath(new URL('../packages/core/src/testing/signalled-process.ts', import.meta.url));
/** What its handler does, and what ends it: by itself, at a signal, at a second one. */
const scenarios = ['quick', 'slow', 'fail', 'group', 'unreachable', 'stuck'] as const;
const signals = ['SIGTERM', 'SIGINT'] as const;
/** From when it handles its first record; some are signalled before, while they start. */
const LATEST_SIGNAL_MS = 1_500;
const STARTING_MS = 3_000;
const HANG_MS = 60_000;
const AT_ONCE = 2;

interface Exit {
  readonly scenario: string;
  readonly afterMs: number;
  readonly how: string;
  readonly errors: string;
}

/** What it may end with: its exit code, a signal that came before anybody listened to it, or SIGKILL at the second one. */
const EXPECTED: ReadonlySet<string> = new Set(['0', '1', 'SIGTERM', 'SIGINT', 'SIGKILL at the second signal']);

/** The same for the same seed, in [0, 1). */
function* drawn(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

async function exitOf(draw: () => number, interrupted: AbortSignal): Promise<Exit> {
  const scenario = scenarios[Math.floor(draw() * scenarios.length)] ?? 'quick';
  const signal = signals[Math.floor(draw() * signals.length)] ?? 'SIGTERM';
  const isEarly = scenario === 'unreachable' || draw() < 0.3;
  const afterMs = Math.round(draw() * (isEarly ? STARTING_MS : LATEST_SIGNAL_MS));
  const again = draw() < 0.2;
  const node = sourceProgram(program, scenario);
  const child = spawn(process.execPath, node, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill('SIGKILL');
  interrupted.addEventListener('abort', kill);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-10_000);
  });
  const handling = new Promise<void>((resolve) => void child.stdout.once('data', () => resolve()));
  let isHanging = false;
  let isSignalledTwice = false;
  const ended = new Promise<string>((resolve) => {
    child.once('close', (code, by) => resolve(by ?? String(code)));
  });
  const hang = setTimeout(() => {
    isHanging = true;
    kill();
  }, HANG_MS);
  if (!isEarly) await Promise.race([ended, handling]);
  await Promise.race([ended, sleep(afterMs)]);
  child.kill(signal);
  if (again) {
    await Promise.race([ended, sleep(600)]);
    isSignalledTwice = child.kill(signal);
  }
  const how = await ended;
  clearTimeout(hang);
  interrupted.removeEventListener('abort', kill);
  const killed = isHanging ? 'hang' : isSignalledTwice ? 'SIGKILL at the second signal' : 'SIGKILL without a reason';
  return { scenario, afterMs, how: how === 'SIGKILL' ? killed : how, errors };
}

async function main(): Promise<void> {
  const { values } = readCommandLine(
    {
      usage: 'node scripts/exits.ts [--runs N] [--seed N] [--json]',
      options: {
        runs: { type: 'string', default: '200' },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean' },
      },
    },
    process.argv.slice(2),
  );
  const [runs, seed] = [Number(values.runs), Number(values.seed)];
  if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed))
    throw new UsageError('--runs takes a whole number, at least 1, and --seed a whole number');
  const interrupted = interruption();
  const numbers = drawn(seed);
  const draw = (): number => numbers.next().value;
  const exits: Exit[] = [];
  let begun = 0;
  const line = async (): Promise<void> => {
    while (begun < runs && !interrupted.aborted) {
      begun++;
      exits.push(await exitOf(draw, interrupted));
      if (exits.length % 20 === 0) console.log(`${exits.length} of ${runs}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
  const wrong = exits.filter(({ how }) => !EXPECTED.has(how));
  for (const { scenario, afterMs, how, errors } of wrong)
    console.error(`${scenario}, signalled after ${afterMs} ms: ${how}\n${errors}`);
  const counts: Record<string, number> = {};
  for (const { how } of exits) counts[how] = (counts[how] ?? 0) + 1;
  const evidence = { runs: exits.length, seed, unexpected: wrong.length, exits: counts };
  console.log(values.json === true ? JSON.stringify(evidence) : evidence);
  if (wrong.length > 0 || exits.length < runs) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  reportFailure(error);
}
