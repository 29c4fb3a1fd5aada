import { createServer, get, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from '@jest/globals';
import { BoardViewers } from './board-viewers.ts';

const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

/** Viewers of something, over HTTP. */
async function serve(makeSnapshot: () => object, options = {}) {
  const viewers = new BoardViewers(makeSnapshot, options);
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    responses.push(response);
    viewers.add(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(
    () => server.close(),
    () => viewers.close(),
  );
  const { port } = server.address() as AddressInfo;
  return { viewers, responses, port };
}

function viewer(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n');
  ends.push(() => socket.destroy());
  return socket;
}

it('drops a viewer that does not read, keeps no more for it than what it was sent, and goes on with the others', async () => {
  const large = { text: 'x'.repeat(4_000_000) };
  let made = 0;
  const { viewers, responses, port } = await serve(
    () => {
      made++;
      return large;
    },
    { everyMs: 100, maxMissed: 2 },
  );
  viewer(port).pause();
  let read = 0;
  get(`http://127.0.0.1:${port}/`, (response) => {
    response.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    response.on('error', () => {});
  });
  let most = 0;
  while (viewers.count !== 1 || made < 4) {
    await sleep(20);
    most = Math.max(most, ...responses.map(({ writableLength }) => writableLength));
  }
  expect(responses.map(({ destroyed }) => destroyed)).toEqual([true, false]);
  expect(most).toBeLessThan(2 * large.text.length);
  while (read < 4 * large.text.length) await sleep(20);
});

it('leaves a viewer on a slow line what it is reading, and sends it the next snapshot that it is ready for', async () => {
  const viewers = new BoardViewers(() => ({}), { everyMs: 20 });
  ends.push(() => viewers.close());
  let written = 0;
  const slow = Object.assign(
    new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        written++;
        setTimeout(done, 70);
      },
    }),
    { writeHead: () => {} },
  );
  viewers.add(slow as unknown as ServerResponse);
  while (written < 5 && !slow.destroyed) {
    await sleep(5);
    // One that is being written, and none that waits behind it.
    expect(slow.writableLength).toBeLessThan(100);
  }
  expect([slow.destroyed, viewers.count]).toEqual([false, 1]);
});

it('makes snapshots more seldom where making one takes long', async () => {
  let made = 0;
  const { port } = await serve(() => {
    made++;
    const until = performance.now() + 100;
    while (performance.now() < until);
    return {};
  });
  viewer(port);
  await sleep(2_500);
  expect(made).toBe(1);
});

it('sends no snapshot twice, though timers count whole milliseconds and may fire a part of one early', async () => {
  let made = 0;
  const viewers = new BoardViewers(() => ({ made: ++made }), { everyMs: 3 });
  ends.push(() => viewers.close());
  const texts: string[] = [];
  const viewer = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        texts.push(/"made":\d+/.exec(chunk.toString())?.[0] ?? '');
        done();
      },
    }),
    { writeHead: () => {} },
  );
  viewers.add(viewer as unknown as ServerResponse);
  while (texts.length < 100) await sleep(5);
  expect(texts).toEqual([...new Set(texts)]);
});
