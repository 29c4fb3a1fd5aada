import { expect, it } from '@jest/globals';
import { PollError } from '../errors.ts';
import type { ReceivedRecord } from '../record.ts';
import { Polling } from './polling.ts';

it('an error that is met while records are taken comes with them', async () => {
  const record = { topic: 't', partition: 0, offset: 3 } as ReceivedRecord;
  let isThere = false;
  const polling: Polling = new Polling(() => {
    if (!isThere) return { events: [], records: [], positions: [] };
    isThere = false;
    // What comes behind the record cannot be read.
    polling.report(new PollError('it cannot be read'));
    return { events: [], records: [record], positions: [] };
  });
  const waiting = polling.poll(10, 60_000);
  isThere = true;
  polling.changed();
  expect(await waiting).toMatchObject({ records: [record], errors: [{ message: 'it cannot be read' }] });
});

it('timers get their turn between polls that are answered at once', async () => {
  const record = { topic: 't', partition: 0, offset: 3 } as ReceivedRecord;
  const polling = new Polling(() => ({ events: [], records: [record], positions: [] }));
  let hasFired = false;
  setTimeout(() => {
    hasFired = true;
  }, 1);
  const until = performance.now() + 5_000;
  while (!hasFired && performance.now() < until)
    expect(await polling.poll(10, 60_000)).toMatchObject({ records: [record] });
  expect(hasFired).toBe(true);
});

it('a poll that waits for the event loop is ended at once, with what there is', async () => {
  const record = { topic: 't', partition: 0, offset: 3 } as ReceivedRecord;
  const polling = new Polling(() => ({ events: [], records: [record], positions: [] }));
  const ends: string[] = [];
  const poll = polling.poll(10, 60_000).then(({ records }) => ends.push(`${records.length} record`));
  polling.wake();
  setImmediate(() => ends.push('the event loop'));
  await new Promise((resolve) => setImmediate(resolve));
  await poll;
  expect(ends).toEqual(['1 record', 'the event loop']);
});
