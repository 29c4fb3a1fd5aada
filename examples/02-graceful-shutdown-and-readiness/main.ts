/**
 * 02 graceful shutdown and readiness: probes over HTTP and as a file, SIGTERM, a deadline; and with --crash, a worker that fails beside another one.
 *
 * Guarantee: at SIGINT or SIGTERM, first /ready turns to 503, then running handlers end, and what is finished is committed. What outlives the deadline
 * has its signal aborted, and comes again after a restart. Of two workers in one process, one that fails lets the other end in the same way.
 *
 * Run: npm run example -- 02, and press Ctrl+C
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AnyWorker, healthFile, healthServer, runUntilSignal, Worker, WorkerGroup } from '@kafka-worker/core';
import { perPartition, skip, stop } from '@kafka-worker/strategies';
import type { ExampleSetup } from '../harness/run-example.ts';

export function createWorker({ kafka, groupId, topics, plugins }: ExampleSetup): Worker {
  return new Worker({
    kafka,
    groupId,
    topics,
    concurrency: perPartition(),
    onFailure: skip({ log: true }),
    handler: async (record, { log, signal }) => {
      const { order } = JSON.parse(String(record.value)) as { order: number };
      await sleep(order % 200 === 50 ? 2_000 : 1, undefined, { signal }); // some are slow; at the deadline they are given up
      log.info('order shipped', { order });
    },
    plugins,
  });
}

/** --crash: beside it a worker of another group, which fails while the first one handles a slow order. */
export function createGroup(setup: ExampleSetup): WorkerGroup {
  const shipping = createWorker(setup);
  const isSlow = () => shipping.status().partitions.some(({ blockedBy }) => (blockedBy?.sinceMs ?? 0) > 500);
  const audit = new Worker({
    ...{ kafka: setup.kafka, groupId: `${setup.groupId}-audit`, topics: setup.topics },
    onFailure: stop(),
    handler: async (_record, { signal }) => {
      while (!isSlow()) await sleep(10, undefined, { signal });
      throw new Error('the audit log is full');
    },
  });
  return new WorkerGroup([shipping, audit]);
}

/** What a program of yours does: starts one or several, until a signal comes or they end by themselves. */
export async function run(target: AnyWorker | WorkerGroup, tell: (line: string) => void): Promise<void> {
  const path = join(tmpdir(), `example-02-${process.pid}`);
  const server = await healthServer(target, { port: 0, host: '127.0.0.1' });
  const file = healthFile(target, { path });
  tell(`probes at ${server.url}/live, /ready, /status, and the file ${path}`);
  await runUntilSignal(target, {
    timeoutMs: 10_000,
    onShutdown: async () => {
      await server[Symbol.asyncDispose]();
      await file[Symbol.asyncDispose]();
    },
  });
}
