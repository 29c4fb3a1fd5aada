import { describe, expect, it } from '@jest/globals';
import type { KafkaConsumer, Poll } from '../kafka-client.ts';
import { departForGood } from './static-departure.ts';

const nothing: Poll = { events: [], records: [], positions: [], errors: [] };

/** Lets a member depart by a successor that the group takes in, or does not. What was done, and warned of. */
async function departure(isMember: boolean, connect: () => Promise<void> = () => Promise.resolve()) {
  const done: string[] = [];
  const logger = { debug() {}, info() {}, warn: (message: string) => void done.push(message), error() {} };
  const successor: Partial<KafkaConsumer> = {
    isMember,
    connect,
    subscribe: (topics) => void done.push(`subscribe ${topics.join()}`),
    poll: () => Promise.resolve(nothing),
    close: (options) => Promise.resolve(void done.push(`close ${JSON.stringify(options)}`)),
  };
  const properties = { 'group.protocol': 'consumer', 'group.instance.id': 'i', 'group.remote.assignor': 'range' };
  await departForGood({
    ...{ properties, topics: ['t'], logger },
    consumer: (own) => {
      done.push(`${own['group.protocol']} ${own['group.instance.id']} ${own['group.remote.assignor']}`);
      return successor as KafkaConsumer;
    },
  });
  return done;
}

describe('a static member of a KIP-848 group that leaves for good', () => {
  it('is followed by a classic one with its id, which leaves', async () => {
    expect(await departure(true)).toEqual(['classic i undefined', 'subscribe t', 'close {"leaveGroup":true}']);
  });

  it('stays until its session is over, and says so, when the group does not take that one in', async () => {
    expect(await departure(false)).toEqual([
      'classic i undefined',
      'subscribe t',
      expect.stringContaining('a static member could not leave its group'),
      'close {"leaveGroup":true}',
    ]);
  });

  it('stays until its session is over, and says so, when no broker answers', async () => {
    const done = await departure(true, () => Promise.reject(new Error('no broker')));
    expect(done[1]).toContain('a static member could not leave its group');
    expect(done[2]).toBe('close {"leaveGroup":true}');
  });
});
