import { parseArgs } from 'node:util';
import { UsageError } from './usage-error.ts';

/** What `kafka-worker redrive --help` says. */
export const redriveUsage = `usage: kafka-worker redrive --kafka HOST:PORT[,…] --from TOPIC [options]

Sends the dead letters of a topic back to where they came from: key, value and headers as they were, without the
headers of the dead letter. What was sent is remembered as the committed offsets of a consumer group, so that a
second run goes on where the first one ended; nothing that was read is lost.

  --kafka HOST:PORT[,…]  the brokers; may stand in the file of --config instead
  --config FILE          the options of confluentKafka() as JSON: tls, sasl, clientId, rack, reader, librdkafka, brokers.
                         tls.ca, tls.cert and tls.key may be names of PEM files, relative to FILE
  --from TOPIC           the topic that has the dead letters
  --to TOPIC             where all of them go; without it each goes to the topic that its header
                         dead-letter.source.topic names
  --limit N              so many at most; without it all that the topic has when it starts
  --rate N               so many in a second at most
  --dry-run              only shows what would go where: writes nothing, commits nothing
  --group GROUP          the consumer group; kafka-worker.redrive.TOPIC without it
  --help                 this text

Exit codes: 0 done, 1 failed or interrupted (run it again: it goes on), 2 the command line cannot be used.`;

/** What the command was asked to do. */
export interface RedriveArguments {
  readonly brokers: readonly string[] | undefined;
  readonly configFile: string | undefined;
  readonly from: string;
  readonly to: string | undefined;
  readonly limit: number | undefined;
  readonly perSecond: number | undefined;
  readonly dryRun: boolean;
  readonly groupId: string | undefined;
}

const flags = {
  kafka: { type: 'string' },
  config: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  limit: { type: 'string' },
  rate: { type: 'string' },
  'dry-run': { type: 'boolean' },
  group: { type: 'string' },
  help: { type: 'boolean' },
} as const;

const known = `it knows ${Object.keys(flags)
  .map((flag) => `--${flag}`)
  .join(', ')}`;

/**
 * `'help'` when that is what was asked for.
 * @throws UsageError
 */
export function parseRedriveArguments(argv: readonly string[]): RedriveArguments | 'help' {
  const values = parse(argv);
  if (values.help === true) return 'help';
  const { kafka, config, from, to, group } = values;
  if (from === undefined) throw refusal('--from is missing: which topic has the dead letters?');
  if (kafka === undefined && config === undefined) throw refusal('--kafka HOST:PORT is missing');
  return {
    brokers: kafka?.split(',').map((broker) => broker.trim()),
    ...{ configFile: config, from, to, groupId: group },
    limit: number('limit', values.limit, /^[1-9]\d{0,14}$/, 'a whole number, at least 1'),
    perSecond: number('rate', values.rate, /^(?=.*[1-9])\d{1,9}(\.\d{1,9})?$/, 'a number above 0'),
    dryRun: values['dry-run'] ?? false,
  };
}

function parse(argv: readonly string[]) {
  let parsed: ReturnType<typeof parseArgs<{ args: string[]; options: typeof flags; tokens: true }>>;
  try {
    parsed = parseArgs({ args: [...argv], options: flags, tokens: true });
  } catch (error) {
    // What follows its first sentence is about how to pass a word that looks like a flag.
    throw refusal((error as Error).message.split('. ')[0] ?? '');
  }
  const given = parsed.tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
  const twice = given.find((name, i) => given.indexOf(name) !== i);
  if (twice !== undefined) throw refusal(`--${twice} is given twice`);
  return parsed.values;
}

function number(flag: string, text: string | undefined, pattern: RegExp, expected: string): number | undefined {
  if (text === undefined) return undefined;
  if (!pattern.test(text)) throw refusal(`--${flag}: expected ${expected}, received ${JSON.stringify(text)}`);
  return Number(text);
}

function refusal(what: string): UsageError {
  return new UsageError(`${what}; ${known}`);
}
