import { readdirSync } from 'node:fs';
import { UsageError } from '../scripts/command-line.ts';
import { describeRun } from './harness/describe-run.ts';
import { parseExampleArguments } from './harness/example-arguments.ts';
import type { CreateWorker, RunTarget } from './harness/run-example.ts';
import { runExample } from './harness/run-example.ts';

/** What an example's `main.ts` exports. */
interface ExampleModule {
  readonly createWorker: CreateWorker;
  readonly createGroup?: CreateWorker;
  readonly open?: CreateWorker;
  readonly run?: RunTarget;
}

/** The entry behind `npm run example`. */
async function main(argv: readonly string[]): Promise<void> {
  const given = parseExampleArguments(argv);
  const folder = readdirSync(import.meta.dirname).find((name) => name.startsWith(`${given.example}-`));
  if (folder === undefined)
    throw new UsageError(`there is no example ${given.example}.\n\nthere are: ${numbers().join(', ')}`);
  const example = (await import(`./${folder}/main.ts`)) as ExampleModule;
  const create = given.crash === true ? example.createGroup : (example.open ?? example.createWorker);
  if (create === undefined) throw new UsageError(`example ${given.example} has no --crash: example 02 has.`);

  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const tell = given.json ? () => {} : (line: string) => process.stdout.write(`${line}\n`);
    const { run } = example;
    const options = { signal: interrupted.signal, tell, ...(run === undefined ? {} : { run }) };
    const { summary, error, unreached, problem, shown, spans } = await runExample(create, given, options);
    if (error !== undefined) {
      process.stderr.write(`the worker ended with ${error.name}: ${error.message}\n`);
      process.exitCode = 1;
    }
    if (problem !== undefined) {
      process.stderr.write(`${problem}\n`);
      process.exitCode = 1;
    }
    for (const line of shown) tell(line);
    // What was not sent is said also where only the summary is wanted, and is nothing to the example.
    if (spans?.isIncomplete === true) process.stderr.write(`${spans.line}\n`);
    else if (spans !== undefined) tell(spans.line);
    for (const { line, isUnexplained } of unreached) {
      process.stderr.write(`${line}\n`);
      if (isUnexplained) process.exitCode = 1;
    }
    process.stdout.write(`${given.json ? JSON.stringify(summary) : describeRun(summary)}\n`);
  } finally {
    process.removeListener('SIGINT', interrupt).removeListener('SIGTERM', interrupt);
  }
}

function numbers(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((name) => /^\d\d-/.test(name))
    .sort();
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  const { name, message } = error as Error;
  process.stderr.write(error instanceof UsageError ? `${message}\n` : `${name}: ${message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
