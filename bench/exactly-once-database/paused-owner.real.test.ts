import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { DatabaseFleet } from './database-fleet.ts';
import { DatabaseWorld } from './database-world.ts';

const brokers = process.env.KAFKA_BROKERS;
const postgresUrl = process.env.POSTGRES_URL;
const hasRealTier = brokers !== undefined && postgresUrl !== undefined;
const RECORDS = 600;
/** Longer than the session of 6 s: the group has given its partitions away while the owner still has its transaction. */
const IDLE_MS = 15_000;

/** What the group, a process that starts and a busy machine may take besides. */
const REST_MS = 30_000;

async function until(isSo: () => boolean | Promise<boolean>, withinMs = 90_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`it did not come to that within ${withinMs} ms`);
    await sleep(100);
  }
}

(hasRealTier ? describe : describe.skip)('an owner that stands still past its session', () => {
  it.each(['handler', 'stored'] as const)(
    'inside a transaction (%s) delays its successor by no more than its timeout, and writes nothing any more',
    async (where) => {
      const world = await DatabaseWorld.open(brokers ?? '', postgresUrl ?? '');
      const fleet = new DatabaseFleet({
        ...{
          reader: 'librdkafka',
          brokers: brokers ?? '',
          postgresUrl: postgresUrl ?? '',
          schema: world.schema,
          topic: world.input.topic,
        },
        ...{ groupId: world.input.topic, idleInTransactionTimeoutMs: IDLE_MS, lockTimeoutMs: 500, abortedShare: 0 },
      });
      const count = async (sql: string, values: unknown[] = []): Promise<number> => {
        const { rows } = await world.pool.query<{ count: string }>(sql, values);
        return Number(rows[0]?.count);
      };
      const by = (name: string) => count(`SELECT count(*) FROM ${world.schema}.effects WHERE writer = $1`, [name]);
      const open = (name: string) =>
        count(
          // With a transaction id: one that has written something, or locked it.
          "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state LIKE 'idle in%' AND backend_xid IS NOT NULL",
          [name],
        );
      try {
        await world.input.produce(RECORDS);
        // One partition's record 40; the others are somewhere meanwhile.
        const old = fleet.join({ name: 'old', strategy: 'perPartition', holdAt: { offset: 40, where, forMs: 3_000 } });
        await until(() => old.lines.includes(`holding ${where}`));
        old.child.kill('SIGSTOP');
        expect(await open('old')).toBeGreaterThan(0);
        const written = await by('old');
        expect(written).toBeLessThan(RECORDS);
        const next = fleet.join({ name: 'next', strategy: 'perPartition' });
        // The old one stands still all the while: nothing but its timeout lets the next one in.
        await until(async () => (await world.written()) === RECORDS, IDLE_MS + REST_MS);
        await until(async () => (await open('old')) === 0, IDLE_MS + REST_MS);
        const waited = next.lines.some((line) => line.includes('a transaction of the owner before is open still'));
        // In its handler it holds rows that it has written, and not the partition itself; the claim of another one may wait all the same.
        if (where === 'stored') expect(waited).toBe(true);
        old.child.kill('SIGCONT');
        // It goes on where it was, hears that it is an owner no more, and comes back as a member.
        await world.input.produce(RECORDS);
        await until(async () => (await world.written()) === 2 * RECORDS);
        await sleep(4_000);
        expect(
          await count(`SELECT count(*) FROM ${world.schema}.effects WHERE writer = 'old' AND sequence < $1`, [
            RECORDS / 60,
          ]),
        ).toBe(written);
        expect(await world.verdict()).toEqual({
          ...{ records: 2 * RECORDS, lost: 0, repeated: 0, orderViolations: 0, leftRows: 0 },
        });
        expect(fleet.failed).toEqual([]);
      } finally {
        await fleet.close();
        await world.close();
      }
    },
    240_000,
  );
});
