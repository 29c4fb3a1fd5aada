import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Interrupted, interruption } from './interruption.ts';

/** What a run whose workers leave traces is given. */
export interface TracedRun {
  /** Where traces and logs of the workers go: kept after a violation, and after a failure. */
  readonly directory: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** How it is reported. */
export interface TracedRunOptions {
  /** Of its directory. */
  readonly name: string;
  /** How it is to be run again. */
  readonly told: Readonly<Record<string, unknown>>;
  readonly asJson: boolean;
}

/** Runs it, and prints what came of it; the last line of JSON is the verdict. A violation, or an interruption, ends the command with 1. */
export async function tracedRun(
  { name, told, asJson }: TracedRunOptions,
  run: (given: TracedRun) => Promise<{ readonly violations: readonly string[] }>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), `kafka-ts-worker-${name}-`));
  const say = (line: string): void => console.log(line);
  const signal = interruption();
  let isToBeKept = true;
  try {
    const { violations, ...figures } = await run({ directory, say, signal });
    for (const [figure, value] of Object.entries<unknown>(figures))
      say(`${figure}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
    for (const violation of violations) say(`VIOLATED: ${violation}`);
    say(violations.length === 0 ? 'all of it held' : `${violations.length} violations, with ${JSON.stringify(told)}`);
    isToBeKept = violations.length > 0;
    if (isToBeKept) process.exitCode = 1;
    if (asJson) say(JSON.stringify({ ...figures, ...told, violations }));
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
