import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { expect, it } from '@jest/globals';
import type { AnyWorker } from '@kafka-worker/core';
import { BoardActions } from './board-actions.ts';

it('answers in bounded time when the worker does not, and says that it may still happen', async () => {
  const hanging = { unfreeze: () => new Promise<void>(() => {}) } as unknown as AnyWorker;
  const actions = new BoardActions('a-token-of-this-test', () => hanging, 20);
  const body = JSON.stringify({ worker: 1, topic: 't', partition: 0, offset: 1, skip: false });
  const headers = { authorization: 'Bearer a-token-of-this-test' };
  const request = Object.assign(Readable.from([Buffer.from(body)]), { headers }) as unknown as IncomingMessage;
  expect(await actions.unfreeze(request)).toEqual({
    status: 504,
    body: { error: 'the worker has not answered for 20 ms: what was asked for may still happen' },
  });
});
