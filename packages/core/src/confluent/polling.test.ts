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
