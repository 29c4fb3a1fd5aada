import { brokersThatAnswer } from './kafka-cluster.ts';
import { whyNoKafka } from './kafka-jars.ts';
import { startPrivateKafka } from './private-kafka.ts';

/** A real server for the tests, or why there is none: left out, which is said aloud, or a failure. */
export type RealTier =
  | { readonly env: NodeJS.ProcessEnv; readonly stop: () => Promise<void> }
  | { readonly skipped: string }
  | { readonly failed: string };

/** How to look for a broker. */
export interface FindRealTierOptions {
  readonly withoutRealKafka: boolean;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
}

/** The broker that is named in `KAFKA_BROKERS`, or one of its own. Never rejects. */
export async function findRealTier(options: FindRealTierOptions): Promise<RealTier> {
  const { withoutRealKafka, say, signal, env = process.env } = options;
  if (withoutRealKafka) return { skipped: 'left out as asked for; npm test has it.' };
  try {
    const named = env.KAFKA_BROKERS;
    if (named) {
      const answers = (await brokersThatAnswer(named)) > 0;
      return answers ? { env: {}, stop: async () => {} } : { failed: `nothing answers on KAFKA_BROKERS=${named}` };
    }
    const obstacle = whyNoKafka(env);
    if (obstacle !== undefined) {
      const reason = `${obstacle}\nOr name a broker in KAFKA_BROKERS.`;
      return env.CI ? { failed: reason } : { skipped: reason };
    }
    const { cluster, stop } = await startPrivateKafka(say, signal);
    return { env: { KAFKA_BROKERS: cluster.bootstrap, KAFKA_SECURE: cluster.secure }, stop };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

/** Why the secure listeners are left out, where a broker is there that was named without them. */
export function secureMissing(tier: RealTier): string | undefined {
  if (!('env' in tier) || (tier.env.KAFKA_SECURE ?? process.env.KAFKA_SECURE)) return undefined;
  return 'KAFKA_BROKERS is set and KAFKA_SECURE is not. npm run kafka -- start --secure prints both; without either, npm test starts a broker of its own.';
}
