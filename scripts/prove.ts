// npm run prove [-- NAME…]: runs the long proofs, all or the named ones, and writes docs/evidence/NAME.json.
// KAFKA_BROKERS names a broker for the proofs that need a real one; otherwise they get a private one.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './child.ts';
import { commit, machine } from './machine.ts';
import { startPrivateKafka } from './private-kafka.ts';

interface Proof {
  readonly name: string;
  /** What the docs may claim when it passes. */
  readonly claim: string;
  readonly needsKafka: boolean;
  /** A TypeScript program and its arguments; its last line of output is the evidence, as JSON. */
  readonly program: readonly string[];
}

const proofs: readonly Proof[] = [
  bench('engine', 'records per second of the worker alone, without a broker', false),
  bench('ledger', 'the cost of settling a record does not grow with the records in flight', false),
  bench('throughput', 'records per second from a real broker, beside a bare loop on the raw client', true),
  bench('strategies', 'what the strategies cost, and how near to their ideal handlers that wait are run', true),
];

let current: ChildProcess | undefined;
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true;
    current?.kill(signal);
  });
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !proofs.some((proof) => proof.name === name));
if (unknown.length > 0) {
  console.error(`no proof is called ${unknown.join(', ')}; there are ${proofs.map(({ name }) => name).join(', ')}`);
  process.exitCode = 1;
} else {
  await proveAll(proofs.filter(({ name }) => wanted.length === 0 || wanted.includes(name)));
}

async function proveAll(chosen: readonly Proof[]): Promise<void> {
  const brokers = process.env.KAFKA_BROKERS;
  const needed = brokers === undefined && chosen.some(({ needsKafka }) => needsKafka);
  const kafka = needed ? await startPrivateKafka(console.log) : undefined;
  const failed: string[] = [];
  try {
    for (const proof of chosen) {
      if (interrupted) break;
      console.log(`\n── ${proof.name}: ${proof.claim}`);
      const evidence = await prove(proof, brokers ?? kafka?.cluster.bootstrap);
      if (evidence === undefined) failed.push(proof.name);
      else write(proof, evidence);
    }
  } finally {
    await kafka?.stop();
  }
  for (const name of failed) console.log(`FAILED: ${name}`);
  console.log(`${chosen.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length > 0 ? 1 : 0;
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

function bench(name: string, claim: string, needsKafka: boolean): Proof {
  return { name, claim, needsKafka, program: ['bench/run.ts', name, '--json'] };
}
