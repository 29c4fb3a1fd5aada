import { describe, expect, it } from '@jest/globals';
import type { KafkaConsumer, Poll } from '../kafka-client.ts';
import { departForGood, needsDeparture } from './static-departure.ts';

const nothing: Poll = { events: [], records: [], positions: [], errors: [] };

/** Lets a member depart by a successor that the group takes in, or does not. What was done, and warned of. */
async function departure(
  isMember: boolean,
  connect: () => Promise<void> = () => Promise.resolve(),
  protocol: Readonly<Record<string, string>> = { 'group.protocol': 'consumer', 'group.remote.assignor': 'range' },
) {
  const done: string[] = [];
  const logger = { debug() {}, info() {}, warn: (message: string) => void done.push(message), error() {} };
  const successor: Partial<KafkaConsumer> = {
    isMember,
    connect,
    subscribe: (topics) => void done.push(`subscribe ${topics.join()}`),
    poll: () => Promise.resolve(nothing),
    close: (options) => Promise.resolve(void done.push(`close ${JSON.stringify(options)}`)),
  };
  const properties = { ...protocol, 'group.instance.id': 'i' };
  await departForGood({
    ...{ properties, topics: ['t'], logger },
    consumer: (own) => {
      const { 'group.protocol': kind, 'group.instance.id': id, 'group.remote.assignor': assignor } = own;
      done.push(`${kind} ${id} ${assignor} ${own['partition.assignment.strategy']}`);
      return successor as KafkaConsumer;
    },
  });
  return done;
}

describe('a static member of a KIP-848 group that leaves for good', () => {
  it('is followed by a classic one with its id, which leaves', async () => {
    expect(await departure(true)).toEqual([
      'classic i undefined cooperative-sticky',
      'subscribe t',
      'close {"leaveGroup":true}',
    ]);
  });

  it('stays until its session is over, and says so, when the group does not take that one in', async () => {
    expect(await departure(false)).toEqual([
      'classic i undefined cooperative-sticky',
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

describe('a static member of a classic group that leaves for good', () => {
  const classic = { 'group.protocol': 'classic', 'partition.assignment.strategy': 'range' };

  it('needs nobody for that when its group has taken it in', () => {
    expect([true, false].map((wasMember) => needsDeparture(classic, wasMember))).toEqual([false, true]);
  });

  it('is followed by one of its own kind when its group has not: another assignor would be refused', async () => {
    expect(await departure(true, undefined, classic)).toEqual([
      'classic i undefined range',
      'subscribe t',
      'close {"leaveGroup":true}',
    ]);
  });
});
