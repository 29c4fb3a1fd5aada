import { EventEmitter } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from '@jest/globals';
import { BrokerConnection } from './broker-connection.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct-library.ts';

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

// Nobody has it then who would close it, and it keeps the process alive.
it('a connection is closed that is stopped in the moment in which it is there', async () => {
  const stopping = new AbortController();
  let closes = 0;
  const connection = Object.assign(new EventEmitter(), {
    status: 'connected',
    socket: Object.assign(new EventEmitter(), { destroy() {} }),
    connect: () => {
      const connected = Promise.resolve();
      queueMicrotask(() => stopping.abort());
      return connected;
    },
    close: () => Promise.resolve(void closes++),
  });
  const library = { newConnection: () => connection } as unknown as DirectLibrary;
  const opened = await BrokerConnection.open(library, { host: 'h', port: 1 }, { clientId: 'c' }, stopping.signal);
  expect([opened.isOpen, closes]).toEqual([false, 1]);
});

// Where many brokers are behind one address, the name tells which one is meant, and which certificate it has to show.
it.each([
  ['localhost', true],
  ['127.0.0.1', false],
])('an encrypted connection begins with the name of the broker, %s, if it is one', async (host, isNamed) => {
  let hello = (_bytes: Buffer): void => {};
  const said = new Promise<Buffer>((resolve) => (hello = resolve));
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', (bytes: Buffer) => {
        hello(bytes);
        socket.destroy();
      });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as { port: number };
  const options = { clientId: 'c', tls: {}, connectTimeout: 5_000 };
  const opening = BrokerConnection.open(
    await loadDirectLibrary(),
    { host, port },
    options,
    new AbortController().signal,
  );
  await expect(opening).rejects.toThrow();
  expect((await said).includes(host)).toBe(isNamed);
  server.close();
});

// The library throws then where nobody catches it, which ends the process.
it('an answer to a login whose length cannot be is an error of the connection', async () => {
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        socket.write(Buffer.from([0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, 0, 0, 0, 0]));
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const;
  const opening = BrokerConnection.open(
    await loadDirectLibrary(),
    { host: '127.0.0.1', port },
    { clientId: 'c', sasl },
    new AbortController().signal,
  );
  const cause = { message: expect.stringMatching(/a response of -16 bytes/) };
  await expect(opening).rejects.toMatchObject({ cause });
  server.close();
});
