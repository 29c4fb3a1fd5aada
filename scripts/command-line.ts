import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<Known extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: Known; allowPositionals: true }>
>;

/** What a script of this repository understands. */
export interface CommandLine<Known extends Options> {
  /** As a person would type it. */
  readonly usage: string;
  readonly options: Known;
  /** Whether it takes words that are no options. */
  readonly positionals?: boolean;
}

/** Arguments that the script does not understand; the message says which it knows. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** `json` is an option of npm too and may be set for reasons of its own. */
const meantForNpm: readonly string[] = ['json'];

/**
 * Reads the arguments of a script. Whatever it does not know is refused, because a typo must not quietly run
 * something else; so is an option that npm took for its own since no `--` stands before it.
 *
 * @throws UsageError
 */
export function readCommandLine<Known extends Options>(
  { usage, options, positionals = false }: CommandLine<Known>,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Parsed<Known> {
  const names = Object.keys(options);
  const known = names.length === 0 ? 'it knows no options' : `it knows ${names.map((name) => `--${name}`).join(', ')}`;
  const refusal = (what: string): UsageError => new UsageError(`${what}; ${known}\nusage: ${usage}`);
  const taken = names.find(
    (name) => !meantForNpm.includes(name) && env[`npm_config_${name.replaceAll('-', '_')}`] !== undefined,
  );
  if (taken !== undefined) throw refusal(`npm took --${taken} for its own: put -- before the options`);
  let parsed: Parsed<Known>;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    // Its second sentence is about how to pass a word that looks like an option.
    throw refusal((error as Error).message.split('. ')[0] ?? '');
  }
  const [extra] = parsed.positionals;
  if (!positionals && extra !== undefined) throw refusal(`unexpected argument ${JSON.stringify(extra)}`);
  return parsed;
}

/** For the end of a script: says what went wrong, without a stack where it was the caller's mistake. */
export function reportFailure(error: unknown): void {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
