import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { DatabaseWorkerOptions } from './database-worker-process.ts';

/** One worker process. */
export interface FleetWorker {
  readonly name: string;
  readonly child: ChildProcess;
  /** What it has said, line by line. */
  readonly lines: string[];
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
}

const program = fileURLToPath(new URL('./database-worker-process.ts', import.meta.url));

/** The worker processes of one group. Each ends with this process, by its own doing if it has to. */
export class DatabaseFleet {
  readonly #common: Omit<DatabaseWorkerOptions, 'name' | 'strategy'>;
  readonly #all: FleetWorker[] = [];
  #isClosing = false;

  constructor(common: Omit<DatabaseWorkerOptions, 'name' | 'strategy'>) {
    this.#common = common;
  }

  /** Those that run. */
  readonly members: FleetWorker[] = [];
  /** Those that ended though nobody had told them to, in words. */
  readonly failed: string[] = [];

  /** How often anybody has said that. */
  said(line: string): number {
    return this.#all.reduce((sum, { lines }) => sum + lines.filter((one) => one.startsWith(line)).length, 0);
  }

  join(more: Partial<DatabaseWorkerOptions> = {}): FleetWorker {
    const name = `worker-${this.#all.length}`;
    const strategy = this.#all.length % 2 === 0 ? 'perKey' : 'perPartition';
    const options: DatabaseWorkerOptions = { ...this.#common, name, strategy, ...more };
    const node = ['--import', 'tsx', '--conditions=@kafka-worker/source', program, JSON.stringify(options)];
    const child = spawn(process.execPath, node, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => {});
    const lines: string[] = [];
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const split = (rest + chunk).split('\n');
      rest = split.pop() ?? '';
      lines.push(...split);
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors = (errors + chunk).slice(-2_000);
    });
    const exited = new Promise<number | string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'gone'));
    });
    const worker: FleetWorker = { name: options.name, child, lines, exited };
    void exited.then((how) => {
      const at = this.members.indexOf(worker);
      if (at >= 0) this.members.splice(at, 1);
      if (at >= 0 && !this.#isClosing) this.failed.push(`${worker.name} ended by itself with ${how}: ${errors}`);
    });
    this.#all.push(worker);
    this.members.push(worker);
    return worker;
  }

  /** It counts as a member no more at once; resolves when its process is gone. */
  async end(worker: FleetWorker, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string> {
    const at = this.members.indexOf(worker);
    if (at >= 0) this.members.splice(at, 1);
    worker.child.kill(signal);
    return await worker.exited;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const { child } of this.#all) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await Promise.all(this.#all.map(({ exited }) => exited));
  }
}
