import { readCommandLine, UsageError } from '../../scripts/command-line.ts';

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
  /** The URL of a collector that gets the spans, as in OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly traceOtlp?: string;
  /** Where example 06 or 07 serves its metrics to Prometheus; 0 is any free port. */
  readonly metricsPort?: number;
  /** Shows what happens when one of two workers fails, where the example has that. */
  readonly crash?: true;
  /** Where example 10 is exact: in a database (the default), or in Kafka. */
  readonly mode?: ExampleMode;
  /** The connection string of a PostgreSQL for example 10, instead of the PGlite in its process. */
  readonly postgres?: string;
  /** A directory for that PGlite, which then outlives the process. */
  readonly data?: string;
  /** Serves a live page of the run, and goes on until it is interrupted. */
  readonly board?: true;
  /** Ends with the summary as one line of JSON. */
  readonly json: boolean;
}

/** What example 10 knows. */
type ExampleMode = 'database' | 'kafka';

const usage = `npm run example -- NN [--kafka HOST:PORT] [--topic TOPIC] [--group GROUP]
                              [--fail PARTITION:OFFSET]… [--trace FILE] [--crash] [--board | --json]
                              [--trace-otlp [URL]] [--metrics-port PORT]
                              [--mode database|kafka] [--postgres URL | --data DIRECTORY]`;

const options = {
  kafka: { type: 'string' },
  topic: { type: 'string' },
  group: { type: 'string' },
  fail: { type: 'string', multiple: true },
  trace: { type: 'string' },
  'trace-otlp': { type: 'string' },
  'metrics-port': { type: 'string' },
  crash: { type: 'boolean' },
  board: { type: 'boolean' },
  mode: { type: 'string' },
  postgres: { type: 'string' },
  data: { type: 'string' },
  json: { type: 'boolean' },
} as const;

/** These trace by themselves, with an SDK of their own; into any other the runner puts tracing. */
export const examplesThatTrace: ReadonlySet<string> = new Set(['06', '07']);

/** What only some examples know. */
const optionsOf: Readonly<Record<string, readonly string[]>> = {
  mode: ['10'],
  postgres: ['10'],
  data: ['10'],
  'metrics-port': [...examplesThatTrace],
};

/** Where a collector listens for OTLP over HTTP by default. */
const DEFAULT_COLLECTOR = 'http://127.0.0.1:4318';
const COLLECTOR_VARIABLE = 'OTEL_EXPORTER_OTLP_ENDPOINT';

/** @throws UsageError */
export function parseExampleArguments(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): ExampleArguments {
  const given = withCollector(argv, env[COLLECTOR_VARIABLE] ?? DEFAULT_COLLECTOR);
  const { values, positionals } = readCommandLine({ usage, options, positionals: true }, given, env);
  const [example, ...rest] = positionals;
  if (example === undefined) throw refusal('which example? Give its number, such as 01.', usage);
  if (!/^\d{1,2}$/.test(example))
    throw refusal(`expected the number of an example, received ${quote(example)}.`, usage);
  if (rest.length > 0) throw refusal(`expected one example, received also ${rest.map(quote).join(', ')}.`, usage);
  const { mode, postgres, data } = values;
  if (postgres !== undefined && data !== undefined)
    throw refusal('--postgres and --data: one of them says where the database is.', usage);
  if (values.board === true && values.json === true)
    throw refusal('--board tells its address while it runs, and --json only figures: leave one of them out.', usage);
  if (mode === 'kafka' && (postgres ?? data) !== undefined)
    throw refusal(
      `--mode kafka needs no database: leave --${postgres === undefined ? 'data' : 'postgres'} out.`,
      usage,
    );
  const number = example.padStart(2, '0');
  for (const [option, examples] of Object.entries(optionsOf))
    if (values[option as keyof typeof values] !== undefined && !examples.includes(number))
      throw refusal(
        `example ${number} has no --${option}: ${examples.length === 1 ? `example ${examples[0]} has` : `examples ${examples.join(' and ')} have`}.`,
        usage,
      );
  const collector = values['trace-otlp'] ?? (examplesThatTrace.has(number) ? env[COLLECTOR_VARIABLE] : undefined);
  const metricsPort = values['metrics-port'];
  return {
    example: number,
    ...(values.kafka === undefined ? {} : { kafka: checkBrokers(values.kafka, usage) }),
    ...(values.topic === undefined ? {} : { topic: checkName('topic', values.topic) }),
    ...(values.group === undefined ? {} : { group: checkName('group', values.group) }),
    ...(values.trace === undefined ? {} : { trace: checkName('trace', values.trace) }),
    ...(collector === undefined ? {} : { traceOtlp: checkCollector(collector) }),
    ...(metricsPort === undefined ? {} : { metricsPort: checkPort(metricsPort) }),
    ...(values.crash === true ? { crash: true } : {}),
    ...(values.board === true ? { board: true } : {}),
    ...(mode === undefined ? {} : { mode: checkMode(mode) }),
    ...(postgres === undefined ? {} : { postgres: checkPostgres(postgres) }),
    ...(data === undefined ? {} : { data: checkName('data', data) }),
    fail: (values.fail ?? []).map(parseFailAt),
    json: values.json ?? false,
  };
}

/** What cannot be used, with the way it is meant. */
export function refusal(message: string, usageText: string): UsageError {
  return new UsageError(`${message}\n\nusage: ${usageText}`);
}

/** @throws UsageError unless the text is `host:port`, or several with commas between them */
export function checkBrokers(text: string, usageText: string): string {
  if (!text.split(',').every(isBroker)) {
    const expected = 'expected HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:9092';
    throw refusal(`--kafka: ${expected}, received ${quote(text)}.`, usageText);
  }
  return text;
}

function isBroker(text: string): boolean {
  const port = Number(/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= 65_535;
}

function checkName(option: string, text: string): string {
  if (text === '') throw refusal(`--${option}: expected a name, received an empty one.`, usage);
  return text;
}

/** Its URL may be left out: what comes behind it is then another option, or the number of the example. */
function withCollector(argv: readonly string[], collector: string): string[] {
  return argv.flatMap((word, i) => {
    const next = argv[i + 1];
    const hasUrl = next !== undefined && !/^(-|\d{1,2}$)/.test(next);
    return word === '--trace-otlp' && !hasUrl ? [`--trace-otlp=${collector}`] : [word];
  });
}

function checkCollector(text: string): string {
  if (!/^https?:\/\/[^/]/.test(text) || !URL.canParse(text))
    throw refusal(
      `--trace-otlp, or ${COLLECTOR_VARIABLE}: expected a URL, such as ${DEFAULT_COLLECTOR}, received ${quote(text)}.`,
      usage,
    );
  return text;
}

function checkPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535))
    throw refusal(`--metrics-port: expected a port from 0 to 65535, such as 9464, received ${quote(text)}.`, usage);
  return port;
}

function checkMode(text: string): ExampleMode {
  if (text !== 'database' && text !== 'kafka')
    throw refusal(`--mode: expected database or kafka, received ${quote(text)}.`, usage);
  return text;
}

/** Without what was received: it may have a password. */
function checkPostgres(text: string): string {
  if (!/^postgres(ql)?:\/\/./.test(text))
    throw refusal('--postgres: expected a URL, such as postgres://user:password@127.0.0.1:5432/database.', usage);
  return text;
}

function parseFailAt(text: string): FailAt {
  const [, partition, offset] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (partition === undefined || offset === undefined) {
    throw refusal(`--fail: expected PARTITION:OFFSET, such as 0:17, received ${quote(text)}.`, usage);
  }
  const failAt = { partition: Number(partition), offset: Number(offset) };
  if (!Number.isSafeInteger(failAt.partition) || !Number.isSafeInteger(failAt.offset))
    throw refusal(`--fail: no record has the place ${quote(text)}, its number is too large.`, usage);
  return failAt;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
