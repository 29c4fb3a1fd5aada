import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { uniqueName } from '../testing/cluster-under-test.ts';
import { embeddedKafka } from '../testing/embedded-kafka.ts';
import { Worker } from '../worker.ts';
import { confluentKafka } from './index.ts';

const common = { clock: systemClock, logger: { debug() {}, info() {}, warn() {}, error() {} } };

function timers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}

describe('a consumer that could not connect', () => {
  // It turned its queue and looked at its positions for ever when nobody closed it.
  it('leaves no timer behind, closed or not', async () => {
    const consumer = confluentKafka({ brokers: ['127.0.0.1:1'] }).consumer({
      groupId: uniqueName('group'),
      groupProtocol: 'consumer',
      ...common,
    });
    const before = timers();
    await expect(consumer.connect({ timeoutMs: 300 })).rejects.toMatchObject({ name: 'ConnectionError' });
    expect(timers()).toBeLessThanOrEqual(before);
    await consumer.close();
  });
});

describe('a worker whose brokers are not there yet', () => {
  it('goes on trying, and handles what they have when they come', async () => {
    await using kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
    await kafka.send([{ topic: 't', value: 'a' }]);
    kafka.setBrokerDown(1);
    let handled = (): void => {};
    const isHandled = new Promise<void>((resolve) => {
      handled = resolve;
    });
    await using worker = new Worker({
      ...{ kafka, groupId: uniqueName('group'), topics: 't', logger: common.logger },
      handler: () => handled(),
    });
    const starting = worker.start();
    await sleep(1_000);
    expect([worker.state, worker.health()]).toEqual([
      'starting',
      { live: true, ready: false, reasons: ['connecting to Kafka'] },
    ]);
    kafka.setBrokerUp(1);
    await starting;
    await isHandled;
    expect(await worker.stop()).toMatchObject({ state: 'stopped', handled: 1 });
  }, 60_000);
});
