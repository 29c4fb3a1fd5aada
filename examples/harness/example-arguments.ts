import { parseArgs } from 'node:util';

/** Arguments that cannot be used; the message says what was expected. */
export class UsageError extends Error {
  constructor(message: string, usage: string) {
    super(`${message}\n\n${usage}`);
    this.name = 'UsageError';
  }
}

/** A record at which an example's handler is made to fail. */
export interface FailAt {
  readonly partition: number;
  readonly offset: number;
}

/** What `npm run example` was asked to do. */
export interface ExampleArguments {
  /** Two digits, as the folder begins. */
  readonly example: string;
  /** `host:port,…` of a real cluster; the embedded one without it. */
  readonly kafka?: string;
  /** An existing topic, instead of a new one with records of its own. */
  readonly topic?: string;
  readonly group?: string;
  readonly fail: readonly FailAt[];
  /** A file that gets a JSON line for each handler call. */
  readonly trace?: string;
  /** Ends with the summary as one line of JSON. */
  readonly json: boolean;
}

const usage = `usage: npm run example -- NN [--kafka HOST:PORT] [--topic TOPIC] [--group GROUP]
                              [--fail PARTITION:OFFSET]… [--trace FILE] [--json]`;

/** @throws UsageError */
export function parseExampleArguments(argv: readonly string[]): ExampleArguments {
  const { values, positionals } = parse(argv);
  const [example, ...rest] = positionals;
  if (example === undefined) throw new UsageError('which example? Give its number, such as 01.', usage);
  if (!/^\d{1,2}$/.test(example))
    throw new UsageError(`expected the number of an example, received ${quote(example)}.`, usage);
  if (rest.length > 0)
    throw new UsageError(`expected one example, received also ${rest.map(quote).join(', ')}.`, usage);
  return {
    example: example.padStart(2, '0'),
    ...(values.kafka === undefined ? {} : { kafka: checkBrokers(values.kafka, usage) }),
    ...(values.topic === undefined ? {} : { topic: checkName('topic', values.topic) }),
    ...(values.group === undefined ? {} : { group: checkName('group', values.group) }),
    ...(values.trace === undefined ? {} : { trace: checkName('trace', values.trace) }),
    fail: (values.fail ?? []).map(parseFailAt),
    json: values.json ?? false,
  };
}

function parse(argv: readonly string[]): ReturnType<typeof parseOptions> {
  try {
    return parseOptions(argv);
  } catch (error) {
    throw new UsageError(`${(error as Error).message}.`, usage);
  }
}

function parseOptions(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      kafka: { type: 'string' },
      topic: { type: 'string' },
      group: { type: 'string' },
      fail: { type: 'string', multiple: true },
      trace: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
}

/** @throws UsageError unless the text is `host:port`, or several with commas between them */
export function checkBrokers(text: string, usageText: string): string {
  const areBrokers = text.split(',').every((broker) => /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/.test(broker));
  if (!areBrokers)
    throw new UsageError(`--kafka: expected HOST:PORT, such as 127.0.0.1:9092, received ${quote(text)}.`, usageText);
  return text;
}

function checkName(option: string, text: string): string {
  if (text === '') throw new UsageError(`--${option}: expected a name, received an empty one.`, usage);
  return text;
}

function parseFailAt(text: string): FailAt {
  const [, partition, offset] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (partition === undefined || offset === undefined) {
    throw new UsageError(`--fail: expected PARTITION:OFFSET, such as 0:17, received ${quote(text)}.`, usage);
  }
  return { partition: Number(partition), offset: Number(offset) };
}

function quote(text: string): string {
  return JSON.stringify(text);
}
