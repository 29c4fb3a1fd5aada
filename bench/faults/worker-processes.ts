import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sourceProgram } from '../../packages/core/src/testing/source-program.ts';

/** One worker process. */
export interface WorkerProcess {
  readonly name: string;
  readonly child: ChildProcess;
  /** What it has said, line by line. */
  readonly lines: string[];
  /** The end of what it has said on stderr. */
  readonly errors: () => string;
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
}

/** The worker processes of one group. Each ends with this process, by its own doing if it has to. */
export class WorkerProcesses<Options extends { readonly name: string }> {
  readonly #program: string;
  readonly #optionsOf: (index: number) => Options;
  readonly #all: WorkerProcess[] = [];
  #isClosing = false;

  /** Each runs the program, which is told its options as JSON: those of the first, the second and so on. */
  constructor(program: URL, optionsOf: (index: number) => Options) {
    this.#program = fileURLToPath(program);
    this.#optionsOf = optionsOf;
  }

  /** Those that run. */
  readonly members: WorkerProcess[] = [];
  /** Those that ended though nobody had told them to, in words. */
  readonly failed: string[] = [];

  /** How often anybody has said that. */
  said(line: string): number {
    return this.#all.reduce((sum, { lines }) => sum + lines.filter((one) => one.startsWith(line)).length, 0);
  }

  join(more: Partial<Options> = {}): WorkerProcess {
    const options: Options = { ...this.#optionsOf(this.#all.length), ...more };
    const node = sourceProgram(this.#program, JSON.stringify(options));
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
    const worker: WorkerProcess = { name: options.name, child, lines, errors: () => errors, exited };
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
  async kill(worker: WorkerProcess): Promise<void> {
    await this.#end(worker, 'SIGKILL');
  }

  /** The same in order, by SIGTERM: what does not end in order counts as failed. */
  async leave(worker: WorkerProcess): Promise<void> {
    const how = await this.#end(worker, 'SIGTERM');
    // One that has said nothing yet was still loading, and had nothing to end.
    const isInOrder = how === 0 || (how === 'SIGTERM' && worker.lines.length === 0);
    if (!isInOrder) this.failed.push(`${worker.name} did not leave in order: ${how}: ${worker.errors()}`);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const { child } of this.#all) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await Promise.all(this.#all.map(({ exited }) => exited));
  }

  async #end(worker: WorkerProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string> {
    const at = this.members.indexOf(worker);
    if (at >= 0) this.members.splice(at, 1);
    worker.child.kill(signal);
    return await worker.exited;
  }
}
