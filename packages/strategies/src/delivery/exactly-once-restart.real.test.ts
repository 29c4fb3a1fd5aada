import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { endBroker, startBrokerAgain } from '../../../../scripts/broker-restart.ts';
import { missingForKafka } from '../../../../scripts/kafka-jars.ts';
import { startPrivateKafka } from '../../../../scripts/private-kafka.ts';
import { TransactionalWork, until } from '../testing/transactional-work.ts';

const hasRealTier = process.env.KAFKA_BROKERS !== undefined && missingForKafka().length === 0;
const RECORDS = 4_000;
const NODE = 1;
/** Longer than the restart. A broker that has no others, was killed, and ends an old transaction while it comes back may leave it without its end (KAFKA-20734). */
const TRANSACTION_TIMEOUT_MS = 60_000;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
}, 60_000);

(hasRealTier ? describe : describe.skip)('a broker that goes and comes back in the middle of transactions', () => {
  it('loses and repeats nothing of what is written under exactlyOnce, whether it ends in order or at once', async () => {
    const { cluster, directory, stop } = await startPrivateKafka(() => {}, undefined, { brokers: 1, secure: false });
    closing.push(stop);
    const work = await TransactionalWork.prepare(cluster.bootstrap.split(','), RECORDS);
    closing.push(() => work.close());
    const { worker, calls } = await work.start(undefined, undefined, TRANSACTION_TIMEOUT_MS);
    const seen: number[] = [];
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const before = work.values.length;
      await until('it is at work', () => work.values.length >= before + 200);
      seen.push(work.values.length);
      await endBroker(directory, NODE, signal);
      // So that a transaction finds nobody.
      await sleep(1_000);
      await startBrokerAgain(directory, NODE);
    }
    await work.expectExactlyOnce();
    // Each of them in the middle of the work.
    expect(seen.filter((count) => count < RECORDS)).toHaveLength(2);
    expect(new Set(calls).size).toBe(RECORDS);
    expect((await worker.stop()).error).toBeUndefined();
  }, 240_000);
});
