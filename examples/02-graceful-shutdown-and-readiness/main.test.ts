import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { embeddedKafka } from '@kafka-worker/core/testing';
import { type ScriptProcess, scriptProcess } from '../../scripts/script-process.ts';
import { describeExample, endsOf, failuresOf } from '../harness/describe-example.ts';
import type { ExampleSummary } from '../harness/example-summary.ts';
import { orders, produce, seeded } from '../harness/example-topic.ts';
import { createGroup, createWorker } from './main.ts';

const SLOW_MS = 1_900;

describeExample('02', createWorker, (run) => {
  it('handles every record once, each partition in its order, and commits to the end', async () => {
    const { summary, calls } = await run();
    const { records } = seeded;
    expect(summary).toMatchObject({ records, handled: records, failed: 0, order: { partition: true, key: true } });
    expect(summary.committed).toEqual(endsOf(calls));
  });

  it('passes a record over that fails, and counts it', async () => {
    const fail = [{ partition: 0, offset: 17 }];
    const { summary, calls } = await run({ fail });
    expect(summary).toMatchObject({ records: seeded.records, handled: seeded.records - 1, failed: 1 });
    expect(summary.committed).toEqual(endsOf(calls));
    expect(failuresOf(calls)).toEqual([{ partition: 0, offset: 17, attempt: 1 }]);
  });

  it('--crash: one worker fails, the other finishes its slow record and commits it, and the error comes out', async () => {
    const { summary, calls, error } = await run({ crash: true }, createGroup);
    expect(error).toMatchObject({ name: 'HandlerError', message: expect.stringContaining('the audit log is full') });
    const last = calls.at(-1);
    expect((last?.end ?? 0) - (last?.start ?? 0)).toBeGreaterThan(SLOW_MS);
    expect(last?.outcome).toBe('ok');
    expect(summary).toMatchObject({ handled: calls.length, failed: 0 });
    expect(summary.records).toBeLessThan(seeded.records);
    expect(summary.committed).toEqual(endsOf(calls));
  });
});

describe('example 02 at its deadline', () => {
  it('gives a handler up that outlives it: not committed, and left for the next start', async () => {
    const kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
    await produce(kafka, orders('t', 60, 1));
    const worker = createWorker({ kafka, groupId: 'g', topics: ['t'], plugins: [] });
    await worker.start();
    while ((worker.status().partitions[0]?.nextOffset ?? 0) < 50) await sleep(10);
    const summary = await worker.stop({ timeoutMs: 100 });
    expect(summary).toMatchObject({ state: 'failed', handled: 50, left: [{ topic: 't', partition: 0, offset: 50 }] });
    expect(summary.error).toMatchObject({ code: 'SHUTDOWN_TIMEOUT' });
    expect((await kafka.committed('g', 't')).get(0)).toBe(50);
    await kafka[Symbol.asyncDispose]();
  });
});

const brokers = process.env.KAFKA_BROKERS;
const tiers = [
  { tier: 'embedded', kafka: [] as string[] },
  ...(brokers === undefined ? [] : [{ tier: 'real', kafka: ['--kafka', brokers] }]),
];

describe.each(tiers)('example 02 as a process, on $tier Kafka', ({ kafka }) => {
  const processes: ScriptProcess[] = [];
  afterEach(() => {
    for (const { child } of processes.splice(0)) child.kill('SIGKILL');
  });

  function start(...args: string[]): ScriptProcess {
    const started = scriptProcess(['examples/run.ts', '02', ...kafka, ...args]);
    processes.push(started);
    return started;
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'is not ready from %s on, live all the same while its slow record ends, commits that, and ends with code 0',
    async (signal) => {
      const { child, ended } = start();
      const url = await new Promise<string>((resolve) => {
        child.stdout?.on('data', (text: string) => {
          const [, found] = /probes at (\S+)\/live/.exec(text) ?? [];
          if (found !== undefined) resolve(found);
        });
      });
      const status = async (path: string): Promise<number> => (await fetch(`${url}${path}`)).status;
      let offset: number | undefined;
      let partition: number | undefined;
      while (offset === undefined) {
        const [slow] = (await slowOnes(url)).filter(({ sinceMs }) => sinceMs > 500 && sinceMs < 1_000);
        ({ offset, partition } = slow ?? {});
        await sleep(10);
      }
      expect([await status('/ready'), await status('/live')]).toEqual([200, 200]);
      child.kill(signal);
      while ((await status('/ready')) === 200);
      const ready = (await (await fetch(`${url}/ready`)).json()) as object;
      expect(ready).toMatchObject({
        ready: false,
        reasons: [expect.stringContaining('stopping: running handlers end')],
      });
      expect(await status('/live')).toBe(200);
      expect(await slowOnes(url)).toContainEqual(expect.objectContaining({ partition, offset }));
      const { code, output } = await ended;
      expect(output).toMatch(new RegExp(`/${partition}  ${offset + 1}$`, 'm'));
      expect(code).toBe(0);
      await expect(fetch(`${url}/live`)).rejects.toThrow('fetch failed');
    },
    60_000,
  );

  it('--crash ends with the error and code 1, after its summary', async () => {
    const { code, output } = await start('--crash', '--json').ended;
    expect(output).toContain('the worker ended with HandlerError: ');
    expect(output).toContain('the audit log is full');
    const line = output.split('\n').find((each) => each.startsWith('{"example"')) ?? '{}';
    const summary = JSON.parse(line) as ExampleSummary;
    expect(summary).toMatchObject({ example: '02', failed: 0 });
    const committed = Object.values(summary.committed).reduce((sum, offset) => sum + offset, 0);
    expect({ committed, code }).toEqual({ committed: summary.handled, code: 1 });
  }, 60_000);
});

interface Blocking {
  readonly partition: number;
  readonly offset: number;
  readonly sinceMs: number;
}

/** What holds partitions up, as `/status` tells it. */
async function slowOnes(url: string): Promise<readonly Blocking[]> {
  const { workers } = (await (await fetch(`${url}/status`)).json()) as {
    readonly workers: readonly { readonly partitions: readonly { readonly blockedBy?: Blocking }[] }[];
  };
  return workers.flatMap(({ partitions }) => partitions.flatMap(({ blockedBy }) => blockedBy ?? []));
}
