import { expect, it } from '@jest/globals';
import { type Clock, type Plugin, Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { Registry } from 'prom-client';
import { metrics } from './metrics.ts';

const RECORDS = 2_000;

/** How often a worker looks at its clock while it handles so many records. */
async function looksAtTheClock(plugins: readonly Plugin[]): Promise<number> {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
  kafka.send(Array.from({ length: RECORDS }, () => ({ topic: 't', value: 'v' })));
  let looks = 0;
  const clock: Clock = {
    now: () => {
      looks++;
      return kafka.clock.now();
    },
    setTimeout: (run, ms) => kafka.clock.setTimeout(run, ms),
  };
  const worker = new Worker({ ...{ kafka, clock, groupId: 'g', topics: 't', plugins }, handler: () => {} });
  const starting = worker.start();
  await kafka.clock.advance(10);
  await starting;
  await kafka.clock.advance(2_000);
  const stopping = worker.stop();
  await kafka.clock.advance(10_000);
  expect(await stopping).toMatchObject({ handled: RECORDS });
  return looks;
}

it('with no plugin no record is timed, and with metrics() each is', async () => {
  expect(await looksAtTheClock([])).toBeLessThan(RECORDS / 2);
  expect(await looksAtTheClock([metrics({ registry: new Registry() })])).toBeGreaterThan(RECORDS);
});
