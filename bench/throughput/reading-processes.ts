import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sourceProgram } from '../../packages/core/src/testing/source-program.ts';
import type { Contestant, Reading, ReadOrder } from './contestant.ts';

const program = fileURLToPath(new URL('./reading-process.ts', import.meta.url));

type Answer = { readonly isReady: true } | { readonly reading: Reading } | { readonly error: string };

/** The contestants, each in a process that it keeps, so that none profits or suffers from what another one has left behind. */
export class ReadingProcesses {
  readonly #children = new Map<string, ChildProcess>();

  /** For as long as `run` takes. */
  static async with<T>(run: (processes: ReadingProcesses) => Promise<T>): Promise<T> {
    const processes = new ReadingProcesses();
    try {
      return await run(processes);
    } finally {
      await processes.#close();
    }
  }

  /** @throws Error with what the contestant says when it fails, or when its process ends */
  async read(contestant: Contestant, order: ReadOrder): Promise<Reading> {
    const child = this.#children.get(contestant.name) ?? (await this.#start(contestant));
    const answer = answerOf(child, contestant.name);
    child.send(order);
    const given = await answer;
    if ('reading' in given) return given.reading;
    throw new Error(`${contestant.name}: ${'error' in given ? given.error : 'no answer'}`);
  }

  /** Resolves when all of them have ended. They have nothing that would have to be ended in order. */
  async #close(): Promise<void> {
    await Promise.all([...this.#children.values()].map((child) => endedOf(child)));
  }

  async #start(contestant: Contestant): Promise<ChildProcess> {
    const node = sourceProgram(program, JSON.stringify(contestant));
    const child = spawn(process.execPath, node, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#children.set(contestant.name, child);
    await answerOf(child, contestant.name);
    return child;
  }
}

function answerOf(child: ChildProcess, name: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null): void =>
      reject(new Error(`${name}: its process ended (${code ?? signal})`));
    child.once('exit', ended);
    child.once('error', reject);
    child.once('message', (answer: Answer) => {
      child.off('exit', ended);
      child.off('error', reject);
      resolve(answer);
    });
  });
}

function endedOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
