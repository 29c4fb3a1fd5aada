// npm test [-- example-NN | PATH PATTERN…]: every check and every test; with an argument, the tests of these files.
// Ends with one line, `N passed, N failed, N skipped`: Jest's tests, plus one per check.
// --without-real-kafka leaves out what needs a real broker, a real PostgreSQL, or a real browser.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checks } from './checks.ts';
import { root, signalCurrent } from './child.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import { type Interrupted, interruption } from './interruption.ts';
import { runJest } from './jest-run.ts';
import { findRealBrowser } from './real-browser.ts';
import { findRealPostgres } from './real-postgres.ts';
import { findRealTier, type RealTier, secureMissing } from './real-tier.ts';

const usage = 'npm test [-- [example-NN | PATH PATTERN]… [--without-real-kafka]]';
const options = { 'without-real-kafka': { type: 'boolean', default: false } } as const;
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

try {
  const { values, positionals } = readCommandLine({ usage, options, positionals: true }, process.argv.slice(2));
  await testAll(positionals.map(jestPattern), values['without-real-kafka']);
} catch (error) {
  reportFailure(error);
}

async function testAll(patterns: readonly string[], withoutRealKafka: boolean): Promise<void> {
  const interrupted = interruption();
  interrupted.addEventListener('abort', () => signalCurrent((interrupted.reason as Interrupted).by));
  // The servers start while the checks run.
  const options = { say: console.log, signal: interrupted };
  const realKafka = findRealTier({ withoutRealKafka, ...options });
  const realPostgres: Promise<RealTier> = withoutRealKafka
    ? Promise.resolve({ skipped: 'left out as asked for; npm test has it.' })
    : findRealPostgres(options);
  const realBrowser: Promise<RealTier> = withoutRealKafka
    ? Promise.resolve({ skipped: 'left out as asked for; npm test has it.' })
    : findRealBrowser(options);
  try {
    if (patterns.length === 0) {
      for (const check of checks) {
        if (!interrupted.aborted) await runCheck(check.name, check.run);
      }
    }
    const tier = await realKafka;
    const postgres = await realPostgres;
    const browser = await realBrowser;
    reportRealTier('Kafka', tier, 'KAFKA_BROKERS');
    reportRealTier('PostgreSQL', postgres, 'POSTGRES_URL');
    reportRealTier('browser', browser, 'CHROMIUM');
    const withoutSecure = secureMissing(tier);
    if (withoutSecure !== undefined) reportSecureMissing(withoutSecure);
    if (!interrupted.aborted) {
      heading('tests (jest)');
      const jest = await runJest(patterns, {
        ...environmentOf(tier),
        ...environmentOf(postgres),
        ...environmentOf(browser),
      });
      if (jest.failed > 0) failures.push(`tests (jest): ${jest.failed}`);
      counts.passed += jest.passed;
      counts.failed += jest.failed;
      counts.skipped += jest.skipped;
    }
    for (const failure of failures) console.log(`FAILED: ${failure}`);
    if ('skipped' in tier) console.log(loud(tier.skipped, notTestedOn('Kafka')));
    if ('skipped' in postgres) console.log(loud(postgres.skipped, notTestedOn('PostgreSQL')));
    if ('skipped' in browser) console.log(loud(browser.skipped, notTestedOn('browser')));
    if (withoutSecure !== undefined) console.log(loud(withoutSecure, 'TLS AND SASL ARE NOT TESTED'));
  } finally {
    for (const tier of await Promise.all([realKafka, realPostgres, realBrowser])) if ('env' in tier) await tier.stop();
  }
  if (interrupted.aborted) {
    console.log((interrupted.reason as Interrupted).message);
    counts.failed += 1;
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = counts.failed > 0 ? 1 : 0;
}

async function runCheck(name: string, check: () => Promise<number | string>): Promise<void> {
  heading(name);
  const started = performance.now();
  const code = await check();
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`${code === 0 ? 'ok' : 'FAILED'}: ${name}, ${seconds} s`);
  if (code === 0) counts.passed += 1;
  else fail(name);
}

function reportRealTier(name: string, tier: RealTier, variable: string): void {
  if ('env' in tier) {
    counts.passed += 1;
    console.log(`ok: a real ${name} answers on ${tier.env[variable] ?? `the ${variable} that is given`}`);
  } else if ('failed' in tier) {
    fail(`real ${name}: ${tier.failed}`);
  } else {
    counts.skipped += 1;
    console.log(loud(tier.skipped, notTestedOn(name)));
  }
}

function environmentOf(tier: RealTier): NodeJS.ProcessEnv {
  return 'env' in tier ? tier.env : {};
}

function notTestedOn(name: string): string {
  return `NOT TESTED ON A REAL ${name.toUpperCase()}`;
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

function loud(reason: string, what: string): string {
  const line = '!'.repeat(100);
  return `\n${line}\n!!! ${what}: ${reason}\n${line}\n`;
}

/** `example-05` means the executable documentation of that example. */
function jestPattern(arg: string): string {
  const example = /^example-(\d+)$/.exec(arg)?.[1];
  if (example === undefined) return arg;
  const examples = readdirSync(join(root, 'examples')).flatMap((name) => /^(\d\d)-/.exec(name)?.[1] ?? []);
  if (examples.includes(example)) return `examples/${example}-[^/]+/[^/]+\\.test\\.ts$`;
  const known = examples.sort().map((number) => `example-${number}`);
  throw new UsageError(`there is no ${arg}; there are ${known.join(', ')}\nusage: ${usage}`);
}
