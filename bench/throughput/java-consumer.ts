import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { kafkaJars, whyNoKafka } from '../../scripts/kafka-jars.ts';
import type { ReadOrder } from './contestant.ts';

/** What `kafka-consumer-perf-test.sh` gives its JVM, and `kafka-run-class.sh` all of Kafka's. */
const jvm: readonly string[] = [
  ...['-Xmx512M', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:InitiatingHeapOccupancyPercent=35'],
  ...['-XX:+ExplicitGCInvokesConcurrent', '-XX:MaxInlineLevel=15', '-Djava.awt.headless=true'],
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
];

const TIMEOUT_MS = 60_000;

/** Why the tool cannot be run here; undefined where it can. */
export const whyNoJava: () => string | undefined = whyNoKafka;

/**
 * Reads with the tool that Kafka has for this, of the same version as the broker, in a JVM of its own each time. Seconds that it spent fetching
 * (its `fetch.time.ms`): joining the group, its `rebalance.time.ms`, is not in it.
 */
export function readByJava({ brokers, topic, records }: ReadOrder): Promise<number> {
  const group = `java-${topic}-${process.hrtime.bigint()}`;
  const args = [
    ...[...jvm, '-cp', join(kafkaJars(), '*'), 'org.apache.kafka.tools.ConsumerPerformance'],
    ...['--bootstrap-server', brokers, '--topic', topic, '--num-records', `${records}`],
    ...['--group', group, '--timeout', `${TIMEOUT_MS}`],
  ];
  return new Promise((resolve, reject) => {
    const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      const figures = figuresOf(output);
      if (code !== 0 || figures['data.consumed.in.nMsg'] === undefined) {
        reject(new Error(`Kafka's consumer performance tool failed (${code}):\n${output}${errors}`));
      } else if (Number(figures['data.consumed.in.nMsg']) < records) {
        reject(new Error(`Kafka's consumer performance tool did not read everything:\n${output}`));
      } else {
        // Of what it read, which may be a little more.
        resolve(records / Number(figures['fetch.nMsg.sec']));
      }
    });
  });
}

/** The last two lines are the names and the figures, with commas between. */
function figuresOf(output: string): Readonly<Record<string, string>> {
  const [names = [], values = []] = output
    .trim()
    .split('\n')
    .slice(-2)
    .map((line) => line.split(',').map((cell) => cell.trim()));
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? '']));
}
