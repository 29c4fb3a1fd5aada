import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { InvalidOptionError, ShutdownTimeoutError } from './errors.ts';
import { type RunUntilSignalOptions, runUntilSignal } from './run-until-signal.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { sourceProgram } from './testing/source-program.ts';
import { Worker } from './worker.ts';
import type { WorkerSummary } from './worker-status.ts';

const program = fileURLToPath(new URL('./testing/signalled-process.ts', import.meta.url));
const processes: ChildProcess[] = [];
afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});

/** A process that runs a worker, what it says, and how it ends. */
function run(scenario: string) {
  const args = sourceProgram(program, scenario);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  processes.push(child);
  const said: string[] = [];
  let errors = '';
  let look = (): void => {};
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(line);
    look();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<{ code: number | null; signal: string | null; said: string[]; errors: string }>(
    (resolve) => {
      child.once('close', (code, signal) => setImmediate(() => resolve({ code, signal, said, errors })));
    },
  );
  const untilSaid = (line: string): Promise<void> =>
    new Promise((resolve, reject) => {
      look = () => {
        if (said.includes(line)) resolve();
      };
      void ended.then(() => reject(new Error(`ended without saying ${line}: ${errors}`)));
      look();
    });
  return { child, ended, untilSaid };
}

describe('runUntilSignal', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    "stops at %s: waits for the handler, commits, closes the user's own resources, exit code 0",
    async (signal) => {
      const { child, ended, untilSaid } = run('slow');
      await untilSaid('handling');
      child.kill(signal);
      // Passed on once more, as npm does.
      child.kill(signal);
      const { code, said } = await ended;
      expect(said).toEqual(['handling', 'handled', 'committed 1', 'returned']);
      expect(code).toBe(0);
    },
  );

  it("sets exit code 1 and says why when the worker ends with an error, and still closes what is the user's", async () => {
    const { code, said, errors } = await run('fail').ended;
    expect(said).toEqual(['handling', 'committed 0', 'returned']);
    expect(errors).toContain('the handler failed');
    expect(code).toBe(1);
  });

  it('sets exit code 1 when no broker answers', async () => {
    const { code, said, errors } = await run('unreachable').ended;
    expect(said).toEqual(['committed undefined', 'returned']);
    expect(errors).toContain('127.0.0.1:1');
    expect(code).toBe(1);
  });

  it('ends by SIGKILL at a second signal', async () => {
    const { child, ended, untilSaid } = run('stuck');
    await untilSaid('handling');
    child.kill('SIGTERM');
    await sleep(600);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ signal: 'SIGKILL', said: ['handling'] });
  });

  it('sets exit code 1 when a handler outlives the time, after what is finished was committed', async () => {
    const { child, ended, untilSaid } = run('stuck');
    await untilSaid('handling');
    child.kill('SIGTERM');
    const { code, said, errors } = await ended;
    expect(said).toEqual(['handling', 'committed 0', 'returned']);
    expect(errors).toContain('still running: t/0 offset 0');
    expect(code).toBe(1);
  });

  it('ends by SIGKILL what is still there long after the deadline, although the worker has ended', async () => {
    const { child, ended, untilSaid } = run('lingering');
    await untilSaid('handling');
    child.kill('SIGTERM');
    const { errors, ...end } = await ended;
    expect(end).toMatchObject({ signal: 'SIGKILL', said: ['handling', 'handled', 'committed 1', 'returned'] });
    expect(errors).toContain('the shutdown hangs');
  });

  it('ends by SIGKILL a process whose handler ignores its signal, for the partition is its own as long as it lives', async () => {
    const { errors, ...end } = await run('ignores').ended;
    expect(end).toMatchObject({ signal: 'SIGKILL', said: ['handling', 'committed 0', 'returned'] });
    expect(errors).toContain('ignores its aborted signal');
    expect(errors).toContain('their partitions are kept');
  });

  it('runs a group: one fails, the other finishes its record and commits, and the error comes out', async () => {
    const { code, said, errors } = await run('group').ended;
    expect(said).toEqual(['handling', 'handling', 'handled', 'committed 0', 'committed 1', 'returned']);
    expect(errors).toContain('the handler failed');
    expect(code).toBe(1);
  });

  describe('in this process', () => {
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const before = process.exitCode;
    afterEach(() => {
      jest.restoreAllMocks();
      jest.useRealTimers();
      process.exitCode = before;
    });

    /** What it does with a worker that has ended so. */
    function ended(summary: Partial<WorkerSummary>, options: RunUntilSignalOptions = {}): Promise<void> {
      const all: WorkerSummary = { state: 'failed', handled: 0, failed: 0, left: [], ...summary };
      const finished = all.error === undefined ? Promise.resolve(all) : Promise.reject(all.error);
      const target = { name: 'w', state: all.state, finished, start: () => Promise.resolve() };
      const stop = (): Promise<WorkerSummary> => Promise.resolve(all);
      const health = { live: false, ready: false, reasons: [] };
      const lanes = { open: 0, runningCalls: 0, fullest: [] };
      const status = { state: all.state, partitions: [], inFlightRecords: 0, inFlightBytes: 0, lanes };
      const runnable = { ...target, stop, health: () => health, status: () => status };
      return runUntilSignal(runnable, { logger: quiet, ...options });
    }

    it('counts a stop by the program itself as clean, also one while the worker starts', async () => {
      const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
      const { clock } = kafka;
      const worker = new Worker({ kafka, clock, groupId: 'g', topics: 't', logger: quiet, handler: () => {} });
      const running = runUntilSignal(worker, { logger: quiet });
      const stopping = worker.stop();
      await clock.advance(1_000);
      await running;
      expect([(await stopping).state, process.exitCode]).toEqual(['stopped', before]);
    });

    it.each([
      ['it was stopped by the program itself', new ShutdownTimeoutError('time is up')],
      ['another handler has failed', new Error('the handler failed')],
    ])('ends by SIGKILL what a stuck handler keeps, also when %s', async (_when, error) => {
      jest.useFakeTimers();
      const kill = jest.spyOn(process, 'kill').mockReturnValue(true);
      await ended({ error, stuck: [{ topic: 't', partition: 0, offset: 5 }] });
      await jest.advanceTimersByTimeAsync(34_000);
      expect([kill.mock.calls, process.exitCode]).toEqual([[], 1]);
      await jest.advanceTimersByTimeAsync(2_000);
      expect(kill.mock.calls).toEqual([[process.pid, 'SIGKILL']]);
    });

    it('lets a program go on whose worker has failed, and has closed everything', async () => {
      jest.useFakeTimers();
      const kill = jest.spyOn(process, 'kill').mockReturnValue(true);
      await ended({ error: new Error('the handler failed') });
      await jest.advanceTimersByTimeAsync(100_000);
      expect([kill.mock.calls, process.exitCode]).toEqual([[], 1]);
    });

    it('gives onShutdown its time, however long that is', async () => {
      let isDone = false;
      const onShutdown = async (): Promise<void> => {
        await sleep(50);
        isDone = true;
      };
      await ended({ state: 'stopped' }, { timeoutMs: 2 ** 31, onShutdown });
      expect([isDone, process.exitCode]).toEqual([true, before]);
    });
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '25s'])(
    'refuses timeoutMs %p at once, before it listens to signals or starts anything',
    async (timeoutMs) => {
      const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
      const worker = new Worker({ kafka, groupId: 'g', topics: 't', clock: kafka.clock, handler: () => {} });
      const listening = (): number[] => [process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')];
      const before = listening();
      const refused = runUntilSignal(worker, { timeoutMs: timeoutMs as number });
      expect(listening()).toEqual(before);
      await expect(refused).rejects.toThrow(InvalidOptionError);
      await expect(refused).rejects.toThrow('timeoutMs');
      expect(worker.state).toBe('idle');
    },
  );
});
