import { confluentKafka } from '@kafka-worker/core/confluent';
import { readCommandLine, UsageError } from '../scripts/command-line.ts';
import { checkBrokers, refusal } from './harness/example-arguments.ts';
import { createTopic, orders, produce } from './harness/example-topic.ts';
import { GroupView } from './harness/group-view.ts';

const usage = 'npm run seed -- --kafka HOST:PORT --topic TOPIC --records N [--partitions 8] [--keys 1000]';

const options = {
  kafka: { type: 'string' },
  topic: { type: 'string' },
  records: { type: 'string' },
  partitions: { type: 'string', default: '8' },
  keys: { type: 'string', default: '1000' },
} as const;

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
  const { kafka, topic, records, partitions, keys } = readCommandLine({ usage, options }, argv).values;
  if (kafka === undefined) throw refusal('--kafka is missing.', usage);
  if (topic === undefined || topic === '') throw refusal('--topic is missing.', usage);
  if (records === undefined) throw refusal('--records is missing.', usage);
  return {
    brokers: checkBrokers(kafka, usage),
    topic,
    records: count('records', records),
    partitions: count('partitions', partitions),
    keys: count('keys', keys),
  };
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw refusal(`--${option}: expected a whole number, at least 1, received ${JSON.stringify(text)}.`, usage);
  }
  return value;
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  const { name, message } = error as Error;
  process.stderr.write(error instanceof UsageError ? `${message}\n` : `${name}: ${message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
