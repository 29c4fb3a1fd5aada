import { expect, it } from '@jest/globals';
import type { CallItem, HandlerCall } from './handler-call.ts';
import { KeptSends } from './kept-sends.ts';
import { OwnedPartition } from './owned-partition.ts';
import { noHeaders, type OutgoingRecord, OwnedRecord } from './record.ts';

it('a record that is kept with what it has sent lets go of the memory that it shares, and one that has sent nothing need not', () => {
  const keptSends = new KeptSends({ check() {}, pass: (message) => message, maxBytes: 1_000 });
  const detached: CallItem[] = [];
  keptSends.boundBy({ partitions: () => 1, hold() {}, release() {}, detach: (item) => void detached.push(item) });
  const owner = new OwnedPartition(0, { topic: 't', partition: 0, offset: 0 }, undefined);
  const items = [0, 1].map((offset): CallItem => {
    const received = new OwnedRecord('t', 0, offset, 0, null, null, noHeaders);
    return { received, owner, record: received };
  });
  const message: OutgoingRecord = { topic: 'out', value: 'x' };
  const call = { sendsOf: (item: CallItem) => (item === items[0] ? [message] : undefined) } as unknown as HandlerCall;
  for (const item of items) keptSends.settled(call, item, 'handled');
  expect(detached).toEqual([items[0]]);
});
