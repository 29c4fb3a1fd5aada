import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourceProgram } from '../../packages/core/src/testing/source-program.ts';
import { machineNow } from '../machine-now.ts';
import type { ChaosWorkerOptions } from './chaos-worker-process.ts';
import { type TraceEntry, TraceReader } from './trace.ts';

/** What became of one worker process. */
export interface WorkerHistory {
  readonly name: string;
  readonly strategy: ChaosWorkerOptions['strategy'];
  readonly startedAt: number;
  /** When it was sent a signal, and which. */
  readonly signalled?: { readonly at: number; readonly signal: 'SIGTERM' | 'SIGKILL' };
  /** When its process was gone, and how. */
  readonly exited?: { readonly at: number; readonly code: number | null };
  readonly entries: readonly TraceEntry[];
}

/** A worker process that can still be told something. */
export interface FleetMember {
  readonly name: string;
  /** By its own trace. */
  readonly owned: ReadonlySet<number>;
}

interface Running extends FleetMember {
  readonly owned: Set<number>;
  readonly child: ChildProcess;
  readonly reader: TraceReader;
  readonly exited: Promise<void>;
  readonly history: { -readonly [Field in keyof WorkerHistory]: WorkerHistory[Field] };
}

const program = fileURLToPath(new URL('./chaos-worker-process.ts', import.meta.url));

/** The worker processes of one group. Each ends with this process, by its own doing if it has to. */
export class WorkerFleet {
  readonly #common: Omit<ChaosWorkerOptions, 'name' | 'strategy' | 'trace'>;
  readonly #directory: string;
  readonly #all: Running[] = [];
  /** A process takes a second or more to load: the next one is always ready, and has not joined. */
  #spare: Running | undefined;
  #started = 0;

  constructor(common: WorkerFleet['common'], directory: string) {
    this.#common = common;
    this.#directory = directory;
  }

  get common(): Omit<ChaosWorkerOptions, 'name' | 'strategy' | 'trace'> {
    return this.#common;
  }

  /** Those that were told nothing yet, oldest first. */
  get members(): readonly FleetMember[] {
    return this.#all.filter(({ history }) => history.signalled === undefined && history.exited === undefined);
  }

  get histories(): readonly WorkerHistory[] {
    return this.#all.map(({ history }) => history);
  }

  /** One more joins. */
  join(): FleetMember {
    const running = this.#spare ?? this.#start();
    this.#spare = this.#start();
    running.history.startedAt = machineNow();
    running.child.stdin?.write('join\n');
    this.#all.push(running);
    return running;
  }

  #start(): Running {
    const strategy = this.#started++ % 2 === 0 ? 'perPartition' : 'perKey';
    const name = `${this.#common.protocol}-${this.#started}`;
    const path = join(this.#directory, name);
    const options: ChaosWorkerOptions = { ...this.#common, name, strategy, trace: `${path}.trace` };
    const reader = new TraceReader(options.trace);
    const log = openSync(`${path}.log`, 'a');
    const node = sourceProgram(program, JSON.stringify(options));
    // It sees by its stdin, which only we hold, that we are gone.
    const child = spawn(process.execPath, node, { stdio: ['pipe', log, log] });
    closeSync(log);
    child.stdin?.on('error', () => {});
    const exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', (code) => {
        running.history.exited = { at: machineNow(), code };
        resolve();
      });
    });
    const history = { name, strategy, startedAt: machineNow(), entries: reader.entries } as const;
    const running: Running = { name, owned: new Set(), child, reader, exited, history: { ...history } };
    return running;
  }

  /** Sends the signal. Resolves when the process is gone. */
  async end(member: FleetMember, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#all.find((one) => one === member);
    if (running === undefined || running.history.signalled !== undefined) return;
    this.look();
    running.history.signalled = { at: machineNow(), signal };
    running.child.kill(signal);
    await running.exited;
    this.look();
  }

  /** Reads what the workers have written since the last look. */
  look(): void {
    for (const { reader, owned } of this.#all) {
      for (const entry of reader.read()) {
        if (entry.what === 'assigned') for (const partition of entry.partitions) owned.add(partition);
        if (entry.what === 'revoked') for (const partition of entry.partitions) owned.delete(partition);
        if (entry.what === 'stopped') owned.clear();
      }
    }
  }

  /** The partitions that the members own now, each as often as it is owned. */
  ownedNow(): readonly number[] {
    this.look();
    return (this.members as readonly Running[]).flatMap(({ owned }) => [...owned]);
  }

  /** Members that ended without being told to. */
  deserters(): readonly string[] {
    return this.#all
      .filter(({ history }) => history.exited !== undefined && history.signalled === undefined)
      .map(({ name }) => name);
  }

  /** Whatever still runs is ended at once. */
  async killAll(): Promise<void> {
    const all = this.#spare === undefined ? this.#all : [...this.#all, this.#spare];
    for (const { child } of all) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await Promise.all(all.map(({ exited }) => exited));
  }
}
