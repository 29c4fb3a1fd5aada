import { connect } from 'node:net';
import { whyNoPostgres } from './postgres-programs.ts';
import { startPrivatePostgres } from './private-postgres.ts';
import type { FindRealTierOptions, RealTier } from './real-tier.ts';

/** The PostgreSQL that is named in `POSTGRES_URL`, or one of its own. Never rejects. */
export async function findRealPostgres(options: Omit<FindRealTierOptions, 'withoutRealKafka'>): Promise<RealTier> {
  const { say, signal, env = process.env } = options;
  try {
    const named = env.POSTGRES_URL;
    if (named) {
      const answers = await isPostgres(named);
      return answers
        ? { env: {}, stop: async () => {} }
        : { failed: `nothing that speaks PostgreSQL answers on POSTGRES_URL=${withoutPassword(named)}` };
    }
    const obstacle = whyNoPostgres();
    if (obstacle !== undefined) {
      const reason = `${obstacle}\nOr name a server in POSTGRES_URL.`;
      return env.CI ? { failed: reason } : { skipped: reason };
    }
    const { url, stop } = await startPrivatePostgres(say, signal);
    return { env: { POSTGRES_URL: url }, stop };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

/** Asked the one question that every server answers before anybody has to say who they are: whether it speaks TLS. */
function isPostgres(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname || '127.0.0.1', port: Number(port || 5432) });
    const answer = (isOne: boolean): void => {
      socket.destroy();
      resolve(isOne);
    };
    socket.setTimeout(5_000, () => answer(false));
    socket.once('error', () => answer(false));
    socket.once('connect', () => socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])));
    socket.once('data', ([byte]) => answer(byte === 0x53 || byte === 0x4e));
    socket.once('end', () => answer(false));
  });
}

function withoutPassword(url: string): string {
  return url.replace(/:[^:@/]*@/, ':***@');
}
