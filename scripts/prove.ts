// npm run prove [-- NAME…] [--reader librdkafka|direct]: runs the long proofs, all or the named ones, and writes docs/evidence/NAME.json; those with the
// other reader docs/evidence/NAME-READER.json.
// KAFKA_BROKERS names a broker for the proofs that need a real one; otherwise they get a private one.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './child.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import { type Interrupted, interruption } from './interruption.ts';
import { commit, machine } from './machine.ts';
import { startPrivateKafka } from './private-kafka.ts';
import { type ProvenReader, readerNamed } from './proven-reader.ts';

interface Proof {
  readonly name: string;
  /** What the docs may claim when it passes. */
  readonly claim: string;
  readonly needsKafka: boolean;
  /** Whether its program takes a reader. */
  readonly takesReader?: true;
  /** A TypeScript program and its arguments; its last line of output is the evidence, as JSON. */
  readonly program: readonly string[];
}

const proofs: readonly Proof[] = [
  bench('engine', 'records per second of the worker alone, without a broker', false),
  bench('ledger', 'the cost of settling a record does not grow with the records in flight', false),
  bench('keys', 'memory does not grow with the keys that have been seen: 10,000,000 of them', false),
  bench(
    'throughput',
    'records per second from a real broker with either reader, beside a bare loop on the raw client, kafkajs and the Java consumer',
    true,
  ),
  bench('pause', 'when partitions that were paused have caught up, with either reader', true),
  bench('strategies', 'what the strategies cost, and how near to their ideal handlers that wait are run', true),
  bench(
    'exactly-once',
    'what transactions cost, beside acknowledged produces and beside a transaction per record',
    true,
  ),
  bench('observability', 'what metrics, traces and logs cost a record, beside the bare calls of OpenTelemetry', false),
  bench('threads', 'handlers that compute use the second core when they run in threads', false),
  {
    name: 'simulation',
    claim:
      'whatever happens to workers, in 100,000 runs no rule is broken, and every rule that is broken on purpose is noticed',
    needsKafka: false,
    program: ['scripts/simulate.ts', '--runs', '100000', '--json'],
  },
  {
    name: 'chaos',
    claim: 'nothing is lost, nothing out of order and nothing repeated without need while workers come, leave and die',
    // Three brokers of its own, which it stops and starts.
    needsKafka: false,
    takesReader: true,
    program: ['scripts/chaos.ts', '--seconds', '300', '--json'],
  },
  {
    name: 'exactly-once-kafka',
    claim:
      'what handlers send is there once, in order per key, for a reader with read_committed, while workers die, stand still and move, transactions fail, and the broker restarts',
    // A Kafka of its own, which it stops and starts.
    needsKafka: false,
    takesReader: true,
    program: ['scripts/exactly-once-kafka.ts', '--json'],
  },
  {
    name: 'exactly-once-database',
    claim:
      'what handlers write to PostgreSQL is there once, in order, while workers die, stand still and move, and connections, the database and the broker fail',
    // A Kafka and a PostgreSQL of its own, which it stops and starts.
    needsKafka: false,
    takesReader: true,
    program: ['scripts/exactly-once-database.ts', '--json'],
  },
  {
    name: 'direct',
    claim:
      'the direct reader loses and repeats nothing and keeps the order while leaders move every second and brokers restart and die; it reads from the nearest replica, and tells of a truncated log',
    // Three brokers of its own, which it stops and starts.
    needsKafka: false,
    program: ['scripts/direct.ts', '--json'],
  },
  {
    name: 'examples',
    claim: 'every example keeps what its card says on a real broker, with either reader',
    needsKafka: true,
    program: ['scripts/examples-by-reader.ts'],
  },
  {
    name: 'soak',
    claim: 'heap, memory, handles and threads stay what they are while records flow and workers come and go',
    needsKafka: true,
    program: ['bench/soak.ts', '--seconds', '600', '--json'],
  },
  {
    name: 'exits',
    claim:
      'processes with live Kafka clients that are signalled in any moment end as they say: none crashes, none hangs',
    needsKafka: false,
    program: ['scripts/exits.ts', '--runs', '200', '--json'],
  },
];

const usage = 'npm run prove -- [NAME…] [--reader librdkafka|direct]';
const options = { reader: { type: 'string' } } as const;

let current: ChildProcess | undefined;

try {
  const { positionals, values } = readCommandLine({ usage, options, positionals: true }, process.argv.slice(2));
  const unknown = positionals.filter((name) => !proofs.some((proof) => proof.name === name));
  if (unknown.length > 0) {
    const names = proofs.map(({ name }) => name).join(', ');
    throw new UsageError(`no proof is called ${unknown.join(', ')}; there are ${names}`);
  }
  const chosen = proofs.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const reader = values.reader === undefined ? undefined : readerNamed(values.reader, usage);
  const without = chosen.filter(({ takesReader }) => reader !== undefined && takesReader !== true);
  if (without.length > 0)
    throw new UsageError(`${without.map(({ name }) => name).join(', ')} takes no --reader\nusage: ${usage}`);
  await proveAll(reader === undefined ? chosen : chosen.map((proof) => withReader(proof, reader)));
} catch (error) {
  reportFailure(error);
}

async function proveAll(chosen: readonly Proof[]): Promise<void> {
  const interrupted = interruption();
  interrupted.addEventListener('abort', () => current?.kill((interrupted.reason as Interrupted).by));
  const brokers = process.env.KAFKA_BROKERS;
  const needed = brokers === undefined && chosen.some(({ needsKafka }) => needsKafka);
  const kafka = needed
    ? await startPrivateKafka(console.log, interrupted, { brokers: 1, secure: true, measured: true })
    : undefined;
  const failed: string[] = [];
  let passed = 0;
  try {
    for (const proof of chosen) {
      if (interrupted.aborted) break;
      console.log(`\n── ${proof.name}: ${proof.claim}`);
      const evidence = await prove(proof, brokers ?? kafka?.cluster.bootstrap);
      if (evidence === undefined) failed.push(proof.name);
      else {
        write(proof, evidence);
        passed += 1;
      }
    }
  } finally {
    await kafka?.stop();
  }
  for (const name of failed) console.log(`FAILED: ${name}`);
  console.log(`${passed} passed, ${failed.length} failed`);
  // Interrupted, it proved less than it was asked for.
  process.exitCode = passed === chosen.length ? 0 : 1;
}

/** The proof's last line, or `undefined` if it failed. */
function prove(proof: Proof, brokers: string | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const node = ['--import', 'tsx', '--conditions=@kafka-worker/source', ...proof.program];
    const env = { ...process.env, ...(proof.needsKafka && brokers !== undefined && { KAFKA_BROKERS: brokers }) };
    const child = spawn(process.execPath, node, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    current = child;
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      process.stdout.write(chunk);
      output += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(output.trimEnd().split('\n').at(-1) ?? ''));
      else resolve(undefined);
    });
  });
}

function write({ name, claim }: Proof, evidence: unknown): void {
  const directory = join(root, 'docs', 'evidence');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${name}.json`);
  const content = { proof: name, claim, commit: commit(), machine: machine(), evidence };
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
  console.log(`written: docs/evidence/${name}.json`);
}

/** With the reader that is there anyway it keeps its name. */
function withReader(proof: Proof, reader: ProvenReader): Proof {
  const name = reader === 'librdkafka' ? proof.name : `${proof.name}-${reader}`;
  return { ...proof, name, program: [...proof.program, '--reader', reader] };
}

function bench(name: string, claim: string, needsKafka: boolean): Proof {
  return { name, claim, needsKafka, program: ['bench/run.ts', name, '--json'] };
}
