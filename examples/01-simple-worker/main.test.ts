import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fakeKafka } from '@kafka-worker/core/testing';
import { kafkaTool, missingForKafka } from '../../scripts/kafka-jars.ts';
import type { ExampleArguments } from '../harness/example-arguments.ts';
import type { ExampleCluster } from '../harness/example-cluster.ts';
import { openExampleCluster } from '../harness/example-cluster.ts';
import type { ExampleSummary } from '../harness/example-summary.ts';
import { figuresOf } from '../harness/example-summary.ts';
import type { HandlerCall } from '../harness/handler-calls.ts';
import { runExample } from '../harness/run-example.ts';
import { createWorker } from './main.ts';

const realBrokers = process.env.KAFKA_BROKERS;
const clusters: { readonly name: string; readonly open: () => Promise<ExampleCluster> }[] = [
  { name: 'fake', open: async () => ({ kafka: fakeKafka(), name: 'fake', close: async () => {} }) },
  { name: 'embedded', open: () => openExampleCluster(undefined) },
  { name: 'real', open: () => openExampleCluster(realBrokers) },
];
const isThere = (name: string): boolean => name !== 'real' || realBrokers !== undefined;

describe.each(clusters)('example 01 on $name Kafka', ({ name, open }) => {
  if (!isThere(name)) {
    it.skip('needs a broker, named by KAFKA_BROKERS', () => {});
    return;
  }

  let cluster: ExampleCluster;
  let directory: string;

  beforeAll(async () => {
    cluster = await open();
    directory = mkdtempSync(join(tmpdir(), 'example-01-'));
  });
  afterAll(async () => {
    await cluster.close();
    rmSync(directory, { recursive: true });
  });

  async function run(
    given: Partial<ExampleArguments> = {},
  ): Promise<{ summary: ExampleSummary; calls: HandlerCall[] }> {
    const trace = join(directory, 'trace.jsonl');
    const args: ExampleArguments = { example: '01', fail: [], json: true, trace, ...given };
    const { summary, error } = await runExample(createWorker, args, { cluster });
    expect(error).toBeUndefined();
    const lines = readFileSync(trace, 'utf8').trimEnd().split('\n');
    return { summary, calls: lines.filter((line) => line !== '').map((line) => JSON.parse(line) as HandlerCall) };
  }

  /** The next offsets that mean that every record of the trace is finished. */
  function endsOf(calls: readonly HandlerCall[]): Record<string, number> {
    const ends: Record<string, number> = {};
    for (const { topic, partition, offset } of calls) {
      const name = `${topic}/${partition}`;
      ends[name] = Math.max(ends[name] ?? 0, offset + 1);
    }
    return ends;
  }

  it('handles every record once, one after the other, in order, and commits to the end', async () => {
    const { summary, calls } = await run();
    expect(summary).toMatchObject({ records: 400, handled: 400, failed: 0, maxConcurrent: 1 });
    expect(summary.order).toEqual({ partition: true, key: true });
    expect(summary.committed).toEqual(endsOf(calls));
    expect(calls).toHaveLength(400);
  });

  it('passes a record over that fails, and counts it', async () => {
    const fail = [
      { partition: 0, offset: 0 },
      { partition: 1, offset: 3 },
    ];
    const { summary, calls } = await run({ fail });
    expect(summary).toMatchObject({ records: 400, handled: 398, failed: 2, maxConcurrent: 1 });
    expect(summary.order).toEqual({ partition: true, key: true });
    expect(summary.committed).toEqual(endsOf(calls));
    const failed = calls
      .filter((call) => call.outcome === 'error')
      .map(({ partition, offset, attempt }) => ({ partition, offset, attempt }));
    expect(failed).toEqual(expect.arrayContaining(fail.map((at) => ({ ...at, attempt: 1 }))));
    expect(failed).toHaveLength(2);
  });

  it('can be recomputed from its trace', async () => {
    const { summary, calls } = await run({ fail: [{ partition: 2, offset: 1 }] });
    const { records, handled, failed, seconds, maxConcurrent, order } = summary;
    expect(figuresOf(calls)).toEqual({ records, handled, failed, seconds, maxConcurrent, order });
  });

  it('has nothing to do for a group that is at the end already', async () => {
    const { summary: first } = await run();
    const { summary, calls } = await run({ topic: first.topic, group: first.group });
    expect(calls).toEqual([]);
    expect(summary).toMatchObject({ records: 0, handled: 0, failed: 0, committed: first.committed });
  });

  if (name !== 'real') return;
  const toolsOfKafka = missingForKafka().length === 0 ? it : it.skip;
  toolsOfKafka("commits what Kafka's own ConsumerGroupCommand shows", async () => {
    const { summary } = await run();
    const { group, committed } = summary;
    const args = ['--bootstrap-server', realBrokers ?? '', '--describe', '--offsets', '--group', group];
    const { stdout } = await kafkaTool('ConsumerGroupCommand', args);
    const shown: Record<string, number> = {};
    for (const line of stdout.split('\n')) {
      const [groupId, topic, partition, offset] = line.trim().split(/\s+/);
      if (groupId === group) shown[`${topic}/${partition}`] = Number(offset);
    }
    expect(shown).toEqual(committed);
  });
});
