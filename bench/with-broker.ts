import { startPrivateKafka } from '../scripts/private-kafka.ts';

/** Runs on the broker that KAFKA_BROKERS names, or on one of its own. */
export async function withBroker<T>(say: (line: string) => void, run: (brokers: string) => Promise<T>): Promise<T> {
  const given = process.env.KAFKA_BROKERS;
  if (given !== undefined) return run(given);
  const kafka = await startPrivateKafka(say, undefined, { brokers: 1, secure: true, measured: true });
  try {
    return await run(kafka.cluster.bootstrap);
  } finally {
    await kafka.stop();
  }
}
