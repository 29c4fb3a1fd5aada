import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { uniqueName } from '../testing/cluster-under-test.ts';
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
