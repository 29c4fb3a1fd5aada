// Do the examples keep what their cards say with either reader? KAFKA_BROKERS names the real broker that they run on. The last line is the evidence.

import { reportFailure, UsageError } from './command-line.ts';
import { runJest } from './jest-run.ts';
import { type ProvenReader, readers } from './proven-reader.ts';

const tests = ['examples/', '-t', 'on real Kafka|--mode kafka'];

try {
  if (!process.env.KAFKA_BROKERS) throw new UsageError('KAFKA_BROKERS has to name a broker: npm run kafka -- start');
  const evidence: Partial<Record<ProvenReader, { passed: number }>> = {};
  for (const reader of readers) {
    const { passed, failed } = await runJest(tests, { ...process.env, KAFKA_READER: reader });
    console.log(`reader ${reader}: ${passed} passed, ${failed} failed`);
    if (failed > 0 || passed === 0) process.exitCode = 1;
    evidence[reader] = { passed };
  }
  console.log(JSON.stringify(evidence));
} catch (error) {
  reportFailure(error);
}
