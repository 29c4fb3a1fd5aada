import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyWorker, KafkaCluster, WorkerGroup } from '@kafka-worker/core';
import { board } from '@kafka-worker/observability';
import { CONNECT_TIMEOUT_MS, clientOptions } from './client-options.ts';
import { orders, seeded } from './example-topic.ts';

const SEND_EVERY_MS = 200;
/** Orders come in waves, so that the plots have something to show. */
const WAVE_MS = 40_000;

/** What is shown of a run with `--board`. */
export interface WatchedRun {
  readonly target: AnyWorker | WorkerGroup;
  readonly kafka: KafkaCluster;
  /** Gets orders until the end; undefined where the topic is somebody else's. */
  readonly topic: string | undefined;
  readonly tell: (line: string) => void;
}

/** Serves the board of a run, with its buttons, and keeps orders coming. The returned function ends both. */
export async function watchRun({ target, kafka, topic, tell }: WatchedRun): Promise<() => Promise<void>> {
  // Of this run alone, and behind the #, where no browser sends it.
  const token = randomBytes(16).toString('hex');
  const served = await board(target, { port: 0, allowActions: { token } });
  tell(`board  ${served.url}/#token=${token}  (until you interrupt this)`);
  const over = new AbortController();
  const sending = topic === undefined ? Promise.resolve() : keepSending(kafka, topic, over.signal);
  // Nobody waits for it before the end.
  sending.catch((error: unknown) => tell(`no more orders come: ${(error as Error).message}`));
  return async () => {
    over.abort();
    await served[Symbol.asyncDispose]();
    await sending;
  };
}

async function keepSending(kafka: KafkaCluster, topic: string, signal: AbortSignal): Promise<void> {
  const producer = kafka.producer(clientOptions);
  try {
    await producer.connect({ timeoutMs: CONNECT_TIMEOUT_MS });
    const sent: Promise<unknown>[] = [];
    for (const order of orders(topic, Number.POSITIVE_INFINITY, seeded.keys)) {
      sent.push(producer.send(order));
      const wave = 1 + Math.sin((Date.now() / WAVE_MS) * 2 * Math.PI);
      if (sent.length < 4 + 12 * wave) continue;
      await Promise.all(sent.splice(0));
      await sleep(SEND_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
    }
  } finally {
    await producer.close(CONNECT_TIMEOUT_MS);
  }
}
