import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeJava, type FakeJavaOptions, fakeJava } from './fake-java.ts';
import type { KafkaCluster } from './kafka-cluster-file.ts';
import { processIdentity } from './process-identity.ts';
import { type ScriptProcess, scriptProcess } from './script-process.ts';

const timeoutMs = 60_000;
let directory: string;
let java: FakeJava | undefined;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-start-'));
  java = undefined;
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  java?.remove();
  rmSync(directory, { recursive: true, force: true });
});

describe('npm run kafka', () => {
  it(
    'stops what it started when it is interrupted',
    async () => {
      const start = startThree();
      const pids = await brokersStarted(3);
      start.child.kill('SIGINT');
      expect(await start.ended).toMatchObject({ code: 1, output: expect.stringContaining('interrupted by SIGINT') });
      expect(pids.filter(isThere)).toEqual([]);
      expect(java?.running()).toEqual([]);
      expect(existsSync(join(directory, 'cluster.json'))).toBe(false);
    },
    timeoutMs,
  );

  it(
    'leaves nothing at work when it is interrupted before the first broker',
    async () => {
      const start = startThree({ formatsForever: true });
      await until(() => java?.running().length === 3);
      start.child.kill('SIGTERM');
      expect(await start.ended).toMatchObject({ code: 1 });
      expect(java?.running()).toEqual([]);
    },
    timeoutMs,
  );

  it(
    'stops the other brokers when one does not start',
    async () => {
      const { code, output } = await startThree({ failingBroker: 3 }).ended;
      expect(code).toBe(1);
      expect(output).toContain('broker 3 ended while it started');
      expect(java?.running()).toEqual([]);
    },
    timeoutMs,
  );

  it(
    'finds and stops the brokers of a start that was killed',
    async () => {
      const start = startThree();
      const pids = await brokersStarted(3);
      start.child.kill('SIGKILL');
      await start.ended;
      expect(pids.filter(isThere)).toEqual(pids);
      expect(await kafka('status').ended).toMatchObject({ code: 3, output: 'not running\n' });
      expect(await kafka('stop').ended).toEqual({ code: 0, output: 'stopped 3 brokers\n' });
      expect(pids.filter(isThere)).toEqual([]);
    },
    timeoutMs,
  );

  it(
    'waits for a start that is under way, and starts in its turn when that one gives up',
    async () => {
      const one = startThree();
      const first = await brokersStarted(3);
      const other = kafka('start', '--brokers', '3', '--free-ports');
      await untilItWaits(other);
      expect(java?.running()).toHaveLength(3);
      one.child.kill('SIGINT');
      expect(await one.ended).toMatchObject({ code: 1 });
      const second = await brokersStarted(3);
      expect(second.filter((pid) => first.includes(pid))).toEqual([]);
      expect(java?.running()).toHaveLength(3);
      other.child.kill('SIGINT');
      expect(await other.ended).toMatchObject({ code: 1 });
      expect(java?.running()).toEqual([]);
    },
    timeoutMs,
  );

  it(
    'does not kill a process that has got the id of a broker that is gone',
    async () => {
      const pid = bystander();
      const ports = { plain: 1, controller: 2, tls: 3, mutualTls: 4, saslTls: 5, saslPlain: 6 };
      for (const identity of [undefined, `${pid}-1`, processIdentity()]) {
        const cluster: KafkaCluster = { brokers: [{ nodeId: 1, pid, identity, ports }], bootstrap: '127.0.0.1:1' };
        writeFileSync(join(directory, 'cluster.json'), JSON.stringify(cluster));
        expect(await kafka('stop').ended).toEqual({ code: 0, output: 'no broker was running\n' });
      }
      expect(isThere(pid)).toBe(true);
    },
    timeoutMs,
  );

  it(
    'leaves what it has not made itself in the directory',
    async () => {
      mkdirSync(join(directory, 'broker-notes'));
      writeFileSync(join(directory, 'letter'), 'dear');
      await startThree({ failingBroker: 1 }).ended;
      expect(readFileSync(join(directory, 'letter'), 'utf8')).toBe('dear');
      expect(existsSync(join(directory, 'broker-notes'))).toBe(true);
    },
    timeoutMs,
  );
});

function startThree(options: FakeJavaOptions = {}): ScriptProcess {
  java = fakeJava(options);
  return kafka('start', '--brokers', '3', '--free-ports');
}

function kafka(command: string, ...args: readonly string[]): ScriptProcess {
  const script = scriptProcess(['scripts/kafka.ts', command, '--directory', directory, ...args], java?.env);
  children.push(script.child);
  return script;
}

async function brokersStarted(count: number): Promise<number[]> {
  await until(() => readCluster()?.brokers.length === count && java?.running().length === count);
  return readCluster()?.brokers.map(({ pid }) => pid) ?? [];
}

function readCluster(): KafkaCluster | undefined {
  const file = join(directory, 'cluster.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as KafkaCluster) : undefined;
}

function bystander(): number {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { stdio: 'ignore' });
  children.push(child);
  return child.pid ?? 0;
}

function untilItWaits(script: ScriptProcess): Promise<void> {
  return new Promise((resolve) => {
    script.child.stdout?.on('data', (chunk: string) => {
      if (chunk.includes('waiting for process')) resolve();
    });
  });
}

function isThere(pid: number): boolean {
  return processIdentity(pid) !== undefined;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}
