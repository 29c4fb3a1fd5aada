import { spawn, spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withDirectoryLock } from './directory-lock.ts';
import { copyPostgresPrograms, whyNoPostgres } from './postgres-programs.ts';
import { isRunning, type KnownProcess, knownProcess, signalProcess } from './process-identity.ts';

/** A server that answers. */
export interface PostgresServer {
  /** For `new pg.Pool({ connectionString })`: a superuser without a password, on this machine alone. */
  readonly url: string;
  readonly pid: number;
}

/** How to start a server. */
export interface StartPostgresOptions {
  /** Programs, data and log: everything of this server. */
  readonly directory: string;
  /** One that is free, unless it is given; a server that was started here before keeps its own. */
  readonly port?: number | undefined;
  /** Gives up and stops what was started. */
  readonly signal?: AbortSignal | undefined;
}

/** In order, with its connections cut; or at once, as if it had crashed: it recovers when it is started again. */
export type PostgresStop = 'fast' | 'immediate';

const ownNames = /^(programs|data|log|server\.json)$/;
const startTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;

/** Starts a server in a directory, or finds it running. One that was stopped goes on with its data, on its port. */
export async function startPostgres(options: StartPostgresOptions): Promise<PostgresServer> {
  const obstacle = whyNoPostgres();
  if (obstacle !== undefined) throw new Error(obstacle);
  return withDirectoryLock(options.directory, () => startAlone(options), { signal: options.signal });
}

/** Stops what {@link startPostgres} started in this directory, and nothing else. Whether there was one. */
export async function stopPostgres(directory: string, how: PostgresStop = 'fast'): Promise<boolean> {
  if (!existsSync(directory)) return false;
  return withDirectoryLock(directory, () => stopAlone(directory, how));
}

/** The server of a directory, if it is alive. */
export function runningPostgres(directory: string): PostgresServer | undefined {
  const written = readServer(directory);
  return written !== undefined && isRunning(written) ? answering(written) : undefined;
}

async function startAlone({ directory, port, signal }: StartPostgresOptions): Promise<PostgresServer> {
  const written = readServer(directory);
  if (written !== undefined && isRunning(written)) {
    await untilReady(directory, written, signal);
    return answering(written);
  }
  const programs = copyPostgresPrograms(directory);
  const user = unprivilegedUser();
  if (user !== undefined) giveTo(user, directory);
  const data = join(directory, 'data');
  if (!existsSync(data)) {
    const unfinished = `${data}.initialising`;
    rmSync(unfinished, { recursive: true, force: true });
    await initialise(join(programs, 'initdb'), unfinished, user, signal);
    renameSync(unfinished, data);
  }
  const chosen = port ?? written?.port ?? (await freePort());
  signal?.throwIfAborted();
  const log = openSync(join(directory, 'log'), 'a');
  // Its own session and no pipe of ours: it outlives the terminal and nobody waits for its output.
  const child = spawn(join(programs, 'postgres'), ['-D', data, '-p', `${chosen}`, ...settings], {
    ...user,
    ...{ detached: true, stdio: ['ignore', log, log], cwd: directory },
  });
  closeSync(log);
  child.unref();
  child.once('error', () => {});
  if (child.pid === undefined) throw new Error(`${programs}/postgres could not be started`);
  // With nothing awaited since it was spawned: whoever kills this process now leaves none that nobody knows.
  const server: WrittenServer = { port: chosen, ...knownProcess(child.pid) };
  writeFileSync(join(directory, 'server.json'), JSON.stringify(server));
  try {
    await untilReady(directory, server, signal);
  } catch (error) {
    await stopAlone(directory, 'immediate');
    throw error;
  }
  return answering(server);
}

/**
 * Nothing has to survive the machine, so nothing waits for its disk; what is committed survives the server. Prepared transactions are off by default.
 */
const settings = [
  ...['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200', 'fsync=off'],
  ...['log_min_messages=warning', 'log_min_error_statement=panic'],
].flatMap((setting) => ['-c', setting]);

async function stopAlone(directory: string, how: PostgresStop): Promise<boolean> {
  const server = readServer(directory);
  if (server === undefined || !isRunning(server)) return false;
  signalProcess(server, how === 'fast' ? 'SIGINT' : 'SIGQUIT');
  const deadline = Date.now() + stopTimeoutMs;
  while (isRunning(server)) {
    if (Date.now() > deadline) signalProcess(server, 'SIGKILL');
    await sleep(20);
  }
  return true;
}

async function untilReady(directory: string, server: KnownProcess, signal: AbortSignal | undefined): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    // Its eighth line says what the server is about.
    const [written, , , , , , , status] = (readIfThere(join(directory, 'data', 'postmaster.pid')) ?? '').split('\n');
    if (written === `${server.pid}` && status?.trim() === 'ready') return;
    if (!isRunning(server)) throw new Error(`PostgreSQL ended while it started:\n${logTail(directory)}`);
    if (Date.now() > deadline) throw new Error(`PostgreSQL does not answer:\n${logTail(directory)}`);
    await sleep(30);
  }
}

function initialise(
  initdb: string,
  data: string,
  user: User | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const args = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
  return new Promise((resolve, reject) => {
    const child = spawn(initdb, args, { ...user, stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) });
    let output = '';
    const keep = (chunk: string): void => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    // After the end also when it was aborted, so that nothing of it runs on.
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
      if (child.pid === undefined) reject(new Error(`PostgreSQL's programs do not run here: ${error.message}`));
    });
    child.once('close', (code) => {
      if (failure !== undefined) reject(failure);
      else if (code === 0) resolve();
      else reject(new Error(`PostgreSQL could not make its data:\n${output}`));
    });
  });
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Whom a server runs as that root starts: it refuses to run as root. */
function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = ['-u', '-g'].map((which) =>
    Number(spawnSync('id', [which, 'nobody'], { encoding: 'utf8' }).stdout),
  );
  if (!uid || !gid)
    throw new Error('PostgreSQL does not run as root, and there is no user nobody: run as another user');
  return { uid, gid };
}

function giveTo({ uid, gid }: User, directory: string): void {
  chownSync(directory, uid, gid);
  // What it has made itself belongs to it already.
  for (const name of readdirSync(directory)) if (ownNames.test(name)) chownSync(join(directory, name), uid, gid);
}

/** What is written to `server.json`. */
interface WrittenServer extends KnownProcess {
  readonly port: number;
}

function readServer(directory: string): WrittenServer | undefined {
  const text = readIfThere(join(directory, 'server.json'));
  return text === undefined ? undefined : (JSON.parse(text) as WrittenServer);
}

function answering({ port, pid }: WrittenServer): PostgresServer {
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, pid };
}

function logTail(directory: string): string {
  return (readIfThere(join(directory, 'log')) ?? '').split('\n').slice(-30).join('\n');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
