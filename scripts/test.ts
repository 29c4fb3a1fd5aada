// npm test [-- example-NN | PATH PATTERN…]: every check and every test; with an argument, the tests of these files.
// Ends with one line, `N passed, N failed, N skipped`: Jest's tests, plus one per check.
// --without-real-kafka leaves out what needs a real broker.

import { checks } from './checks.ts';
import { signalCurrent } from './child.ts';
import { runJest } from './jest-run.ts';
import { brokersThatAnswer } from './kafka-broker.ts';
import { missingForKafka } from './kafka-jars.ts';
import { type PrivateKafka, startPrivateKafka } from './private-kafka.ts';

type RealTier = { readonly env: NodeJS.ProcessEnv } | { readonly skipped: string } | { readonly failed: string };

const args = process.argv.slice(2);
const withoutRealKafka = args.includes('--without-real-kafka');
const patterns = args.filter((arg) => !arg.startsWith('--')).map(jestPattern);
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
let interrupted: NodeJS.Signals | undefined;
let kafka: Promise<PrivateKafka> | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted ??= signal;
    signalCurrent(signal);
  });
}

try {
  // The broker starts while the checks run.
  const realTier = findRealTier();
  realTier.catch(() => {});
  if (patterns.length === 0) {
    for (const check of checks) {
      if (interrupted === undefined) await runCheck(check.name, check.run);
    }
  }
  const tier = await realTier;
  reportRealTier(tier);
  const withoutSecure = secureMissing(tier);
  if (withoutSecure !== undefined) reportSecureMissing(withoutSecure);
  if (interrupted === undefined) {
    heading('tests (jest)');
    const jest = await runJest(patterns, 'env' in tier ? tier.env : {});
    if (jest.failed > 0) failures.push(`tests (jest): ${jest.failed}`);
    counts.passed += jest.passed;
    counts.failed += jest.failed;
    counts.skipped += jest.skipped;
  }
  for (const failure of failures) console.log(`FAILED: ${failure}`);
  if ('skipped' in tier) console.log(loud(tier.skipped));
  if (withoutSecure !== undefined) console.log(loud(withoutSecure, 'TLS AND SASL ARE NOT TESTED'));
} finally {
  await kafka?.then(
    (started) => started.stop(),
    () => {},
  );
}
if (interrupted !== undefined) {
  console.log(`interrupted by ${interrupted}`);
  counts.failed += 1;
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 ? 1 : 0;

async function runCheck(name: string, check: () => Promise<number | string>): Promise<void> {
  heading(name);
  const started = performance.now();
  const code = await check();
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`${code === 0 ? 'ok' : 'FAILED'}: ${name}, ${seconds} s`);
  if (code === 0) counts.passed += 1;
  else fail(name);
}

async function findRealTier(): Promise<RealTier> {
  if (withoutRealKafka) return { skipped: 'left out as asked for; npm test has it.' };
  const named = process.env.KAFKA_BROKERS;
  if (named) {
    return (await brokersThatAnswer(named)) > 0 ? { env: {} } : { failed: `nothing answers on KAFKA_BROKERS=${named}` };
  }
  const missing = missingForKafka();
  if (missing.length > 0) {
    const reason = `Java 17 and Maven are needed. Install them (on Debian: sudo apt-get update && sudo apt-get install ${missing.join(' ')}) or name a broker in KAFKA_BROKERS.`;
    return process.env.CI ? { failed: reason } : { skipped: reason };
  }
  try {
    kafka = startPrivateKafka(console.log);
    const { cluster } = await kafka;
    return { env: { KAFKA_BROKERS: cluster.bootstrap, KAFKA_SECURE: cluster.secure } };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

function reportRealTier(tier: RealTier): void {
  if ('env' in tier) {
    counts.passed += 1;
    const brokers = tier.env.KAFKA_BROKERS ?? process.env.KAFKA_BROKERS;
    console.log(`ok: a real Kafka answers on ${brokers}`);
  } else if ('failed' in tier) {
    fail(`real Kafka: ${tier.failed}`);
  } else {
    counts.skipped += 1;
    console.log(loud(tier.skipped));
  }
}

/** Why the secure listeners are left out, where a broker is there that was named without them. */
function secureMissing(tier: RealTier): string | undefined {
  if (!('env' in tier) || (tier.env.KAFKA_SECURE ?? process.env.KAFKA_SECURE)) return undefined;
  return 'KAFKA_BROKERS is set and KAFKA_SECURE is not. npm run kafka -- start --secure prints both; without either, npm test starts a broker of its own.';
}

function reportSecureMissing(reason: string): void {
  if (process.env.CI) {
    fail(`secure Kafka: ${reason}`);
    return;
  }
  counts.skipped += 1;
  console.log(loud(reason, 'TLS AND SASL ARE NOT TESTED'));
}

function fail(what: string): void {
  counts.failed += 1;
  failures.push(what);
}

function heading(name: string): void {
  console.log(`\n── ${name}`);
}

function loud(reason: string, what = 'NOT TESTED ON A REAL KAFKA'): string {
  const line = '!'.repeat(100);
  return `\n${line}\n!!! ${what}: ${reason}\n${line}\n`;
}

/** `example-05` means the executable documentation of that example. */
function jestPattern(arg: string): string {
  const example = /^example-(\d\d)$/.exec(arg)?.[1];
  return example === undefined ? arg : `examples/${example}-[^/]+/main\\.test\\.ts$`;
}
