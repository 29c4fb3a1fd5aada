import { EventEmitter } from 'node:events';
import { expect, it } from '@jest/globals';
import { BrokerConnection } from './broker-connection.ts';
import type { DirectLibrary } from './direct-library.ts';

// It would log in again when that is due, which may be in an hour, and keep the process alive until then.
it('a connection that the broker has closed is closed here too', async () => {
  let closes = 0;
  const connection = Object.assign(new EventEmitter(), {
    status: 'connected',
    socket: new EventEmitter(),
    connect: () => Promise.resolve(),
    close: () => Promise.resolve(void closes++),
  });
  const library = { newConnection: () => connection } as unknown as DirectLibrary;
  const options = { clientId: 'c' };
  const opened = await BrokerConnection.open(library, { host: 'h', port: 1 }, options, new AbortController().signal);
  expect([opened.isOpen, closes]).toEqual([true, 0]);
  connection.emit('close');
  expect([opened.isOpen, closes]).toEqual([false, 1]);
});
