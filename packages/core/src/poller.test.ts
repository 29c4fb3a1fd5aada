import { describe, expect, it } from '@jest/globals';
import { IllegalStateError } from './errors.ts';
import type { KafkaConsumer, Poll } from './kafka-client.ts';
import { Poller } from './poller.ts';
import { VirtualClock } from './testing/virtual-clock.ts';
import { Turns } from './turns.ts';

/** A poller whose polls end as the test says. */
function polling() {
  const polls: { readonly resolve: (poll: Poll) => void; readonly reject: (error: Error) => void }[] = [];
  const failures: unknown[] = [];
  const consumer: Partial<KafkaConsumer> = {
    poll: () => new Promise((resolve, reject) => void polls.push({ resolve, reject })),
    wake: () => {},
  };
  const failed = (error: unknown): void => void failures.push(error);
  const poller = new Poller({
    ...{ consumer: consumer as KafkaConsumer, clock: new VirtualClock(), turns: new Turns(() => {}, failed), failed },
    ...{ room: () => 1, beforeReceived: undefined, received: () => {}, isTimed: () => false, turned: () => {} },
  });
  poller.start();
  return { poller, polls, failures };
}

describe('what is to run between two polls', () => {
  it('is refused when the polling fails before its turn has come, and from then on', async () => {
    const { poller, polls, failures } = polling();
    let runs = 0;
    const run = async (): Promise<void> => void runs++;
    const before = poller.between(run);
    const failure = new Error('the poll fails');
    polls[0]?.reject(failure);
    await expect(before).rejects.toThrow(IllegalStateError);
    await expect(poller.between(run)).rejects.toThrow(IllegalStateError);
    await poller.close();
    expect([failures, runs]).toEqual([[failure], 0]);
  });
});
