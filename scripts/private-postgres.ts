import { rmSync } from 'node:fs';
import { postgresVersion, whyNoPostgres } from './postgres-programs.ts';
import { type PostgresStop, startPostgres, stopPostgres } from './postgres-server.ts';
import { abandonedDirectories, makePrivateDirectory } from './private-directory.ts';

const prefix = 'kafka-ts-worker-postgres-';

/** A real PostgreSQL for one run, on a port and in a directory of its own. */
export interface PrivatePostgres {
  /** For `new pg.Pool({ connectionString })`. */
  readonly url: string;
  /** Stops the server and starts it again, with its data and on its port; resolves when it answers. */
  readonly restart: (how: PostgresStop) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts it; what a killed run left behind is stopped and removed first. */
export async function startPrivatePostgres(
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<PrivatePostgres> {
  const obstacle = whyNoPostgres();
  if (obstacle !== undefined) throw new Error(obstacle);
  for (const abandoned of abandonedDirectories(prefix)) await remove(abandoned).catch(() => {});
  const directory = makePrivateDirectory(prefix);
  try {
    const started = performance.now();
    const { url } = await startPostgres({ directory, signal });
    say(
      `PostgreSQL ${postgresVersion()} answers on ${url} after ${((performance.now() - started) / 1_000).toFixed(1)} s`,
    );
    return {
      url,
      restart: async (how) => {
        await stopPostgres(directory, how);
        await startPostgres({ directory });
      },
      stop: () => remove(directory),
    };
  } catch (error) {
    await remove(directory);
    throw error;
  }
}

async function remove(directory: string): Promise<void> {
  await stopPostgres(directory, 'immediate');
  rmSync(directory, { recursive: true, force: true });
}
