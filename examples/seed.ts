import { parseArgs } from 'node:util';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { checkBrokers, UsageError } from './harness/example-arguments.ts';
import { createTopic, orders, produce } from './harness/example-topic.ts';
import { GroupView } from './harness/group-view.ts';

const usage = 'usage: npm run seed -- --kafka HOST:PORT --topic TOPIC --records N [--partitions 8] [--keys 1000]';

/** The entry behind `npm run seed`: fills a topic, which is created if it does not exist. */
async function main(argv: readonly string[]): Promise<void> {
  const { brokers, topic, records, partitions, keys } = parse(argv);
  const kafka = confluentKafka({ brokers: brokers.split(',') });
  const startMs = performance.now();
  const view = await GroupView.open(kafka, 'seed', topic);
  try {
    if (!(await view.exists())) await createTopic(kafka, topic, partitions);
  } finally {
    await view.close();
  }
  const sentTo = await produce(kafka, orders(topic, records, keys));
  const seconds = Math.round(performance.now() - startMs) / 1_000;
  process.stdout.write(`${records} records of ${keys} keys to topic ${topic} in ${seconds} s\n`);
  for (const [partition, count] of [...sentTo].sort(([a], [b]) => a - b))
    process.stdout.write(`  ${topic}/${partition}  ${count}\n`);
}

function parse(argv: readonly string[]): {
  brokers: string;
  topic: string;
  records: number;
  partitions: number;
  keys: number;
} {
  const { kafka, topic, records, partitions, keys } = parseOptions(argv).values;
  if (kafka === undefined) throw new UsageError('--kafka is missing.', usage);
  if (topic === undefined || topic === '') throw new UsageError('--topic is missing.', usage);
  if (records === undefined) throw new UsageError('--records is missing.', usage);
  return {
    brokers: checkBrokers(kafka, usage),
    topic,
    records: count('records', records),
    partitions: count('partitions', partitions),
    keys: count('keys', keys),
  };
}

function parseOptions(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        kafka: { type: 'string' },
        topic: { type: 'string' },
        records: { type: 'string' },
        partitions: { type: 'string', default: '8' },
        keys: { type: 'string', default: '1000' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}.`, usage);
  }
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new UsageError(`--${option}: expected a whole number, at least 1, received ${JSON.stringify(text)}.`, usage);
  }
  return value;
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  const { name, message } = error as Error;
  process.stderr.write(error instanceof UsageError ? `${message}\n` : `${name}: ${message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
