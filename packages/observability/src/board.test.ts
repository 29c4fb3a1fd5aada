import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Worker, WorkerGroup } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { freezePartition, perKey } from '@kafka-worker/strategies';
import type { BoardSnapshot } from './board/board-snapshot.ts';
import { type Board, type BoardOptions, board } from './board.ts';

const TOKEN = 'a-token-of-this-test';
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A worker on a cluster in memory, whose records with the value `bad` fail as long as they are. */
async function running(values: readonly string[] = ['fine', 'bad', 'fine'], rest: object = {}) {
  const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
  kafka.send(values.map((value) => ({ topic: 't', partition: 0, key: 'a <b>key</b>', value })));
  const bad = { error: new Error('no & <script>alert(1)</script>') as Error | undefined };
  const worker = new Worker({
    ...{ kafka, clock: kafka.clock, groupId: 'g', name: 'billing', topics: 't', logger: silent },
    ...{ concurrency: perKey(), onFailure: freezePartition() },
    handler: ({ value }) => {
      if (String(value) === 'bad' && bad.error !== undefined) throw bad.error;
    },
    ...rest,
  });
  const advance = (ms = 2_000): Promise<void> => kafka.clock.advance(ms);
  const stop = async (): Promise<void> => {
    const stopping = worker.stop({ timeoutMs: 1_000 });
    await advance(10_000);
    await stopping;
  };
  ends.push(stop);
  const start = async (): Promise<void> => {
    const starting = worker.start();
    await advance();
    await starting;
  };
  return { kafka, worker, bad, advance, stop, start };
}

async function open(target: Worker | WorkerGroup, options: Partial<BoardOptions> = {}): Promise<Board> {
  const made = await board(target, { port: 0, ...options });
  ends.push(() => made[Symbol.asyncDispose]());
  return made;
}

interface BoardEvent {
  readonly event: string;
  readonly data: BoardSnapshot;
}

async function next(viewer: AsyncGenerator<BoardEvent, undefined>): Promise<BoardEvent> {
  const { value } = await viewer.next();
  if (value === undefined) throw new Error('nothing more came');
  return value;
}

/** What the page is told, event by event. */
async function* eventsOf(url: string, signal?: AbortSignal): AsyncGenerator<BoardEvent, undefined> {
  const response = await fetch(`${url}/events`, signal === undefined ? {} : { signal });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(0, end)) ?? [];
      text = text.slice(end + 2);
      if (event !== undefined) yield { event, data: JSON.parse(data ?? '') as BoardSnapshot };
    }
  }
  return undefined;
}

async function snapshot(url: string): Promise<BoardSnapshot> {
  return (await next(eventsOf(url))).data;
}

function unfreeze(url: string, body: object, headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` }) {
  return fetch(`${url}/unfreeze`, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Fetch does not let a test set what browsers set. */
function ask(url: string, headers: Record<string, string>, path = '/', method = 'GET'): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${url}${path}`, { method, headers }, (response) => {
      resolve(response.statusCode);
      response.destroy();
    })
      .on('error', reject)
      .end();
  });
}

const frozenAt1 = { worker: 1, topic: 't', partition: 0, offset: 1, skip: false };

describe('what a board tells', () => {
  it('is the partitions, what is frozen and why, what failed, and what is counted, without values', async () => {
    const { worker, start } = await running(['fine', 'bad', 'a secret of the value']);
    const { url } = await open(worker);
    await start();
    const told = await snapshot(url);
    expect(told).toMatchObject({
      ...{ name: 'billing', state: 'running', live: true, ready: true, hasActions: false },
      reasons: [expect.stringContaining('t/0 has been frozen at offset 1')],
      workers: [{ id: 1, name: 'billing', state: 'running', partitions: 2 }],
      totals: { partitions: 2, lag: 2, inFlightRecords: 2, runningCalls: 0 },
      partitions: [
        { worker: 1, topic: 't', partition: 0, nextOffset: 1, committedOffset: 1, lag: 2, frozen: 1 },
        { worker: 1, topic: 't', partition: 1, nextOffset: 0, lag: 0, frozen: 0 },
      ],
      frozen: [{ worker: 1, topic: 't', partition: 0, scope: 'partition', offset: 1, key: 'a <b>key</b>' }],
      failures: [
        {
          ...{ what: 'handler', worker: 'billing', place: 't/0', offset: 1, key: 'a <b>key</b>', attempt: 1 },
          ...{ decision: 'freeze', error: 'Error: no & <script>alert(1)</script>' },
        },
      ],
      failuresLeftOut: 0,
    });
    expect(JSON.stringify(told)).not.toContain('a secret of the value');
  });

  it('is how long something stands still by the clock of the worker, whatever the clocks of others say', async () => {
    const { worker, start, advance } = await running();
    const { url } = await open(worker);
    await start();
    await advance(30_000);
    const { frozen } = await snapshot(url);
    expect(frozen[0]).not.toHaveProperty('since');
    expect(Math.round((frozen[0]?.forMs ?? 0) / 5_000)).toBe(6);
  });

  it('is the lanes that most records wait in, the fullest first, by keys that are clipped, and at most ten', async () => {
    const { kafka, worker, start } = await running([], {
      handler: () => new Promise<void>(() => {}),
      onStuckHandler: 'release',
      stuckAfterMs: 1_000,
    });
    const long = 'k'.repeat(200);
    const depths: readonly (readonly [partition: number, key: string | null, records: number])[] = [
      // More than there is room for, and they come first.
      ...Array.from({ length: 12 }, (_, i) => [1, `few-${i}`, 2] as const),
      [0, 'warm', 5],
      [1, 'hot', 9],
      [0, long, 7],
      // Of these nothing waits: records without a key run side by side, and of this key there is one.
      [1, null, 3],
      [0, 'cold', 1],
    ];
    const sent = (of: typeof depths): object[] =>
      of.flatMap(([partition, key, n]) =>
        Array.from({ length: n }, () => ({ topic: 't', partition, key, value: 'x' })),
      );
    kafka.send(sent(depths) as Parameters<typeof kafka.send>[0]);
    const { url } = await open(worker);
    await start();
    const { lanes, totals } = await snapshot(url);
    const of = { worker: 1, topic: 't' };
    const few = { ...of, partition: 1, name: expect.stringMatching(/^few-\d+$/), queued: 1 };
    expect(lanes).toEqual([
      { ...of, partition: 1, name: 'hot', queued: 8 },
      { ...of, partition: 0, name: `${'k'.repeat(99)}…`, queued: 6 },
      { ...of, partition: 0, name: 'warm', queued: 4 },
      ...Array.from({ length: 7 }, () => few),
    ]);
    expect(new Set(lanes.map(({ name }) => name)).size).toBe(10);
    expect(totals).toMatchObject({ lanes: 17, runningCalls: 19, inFlightRecords: 49 });
  });

  it('is nothing of a value that could not be read either', async () => {
    const { worker, start } = await running(['4111 1111'], {
      handler: () => JSON.parse('x 4111 1111') as unknown,
    });
    const { url } = await open(worker);
    await start();
    const told = await snapshot(url);
    expect([told.frozen.length, told.failures.length]).toEqual([1, 1]);
    expect(told.failures[0]?.error).toContain('[redacted] is not valid JSON');
    expect(JSON.stringify(told)).not.toContain('4111');
  });

  it('is what happens since, once a second, to everybody the same; and nobody is asked while nobody looks', async () => {
    const { worker, start, advance, kafka } = await running(['fine']);
    let asked = 0;
    const status = worker.status.bind(worker);
    worker.status = () => {
      asked++;
      return status();
    };
    const { url } = await open(worker);
    await start();
    await sleep(1_100);
    expect(asked).toBe(0);
    const leave = new AbortController();
    const viewers = Array.from({ length: 5 }, () => eventsOf(url, leave.signal));
    const firsts = await Promise.all(viewers.map(next));
    expect(new Set(firsts.map(({ data }) => JSON.stringify(data))).size).toBe(1);
    expect(asked).toBe(1);
    kafka.send(['x', 'y', 'bad'].map((value) => ({ topic: 't', partition: 1, key: 'k', value })));
    await advance();
    const seconds = await Promise.all(viewers.map(next));
    expect(asked).toBe(2);
    expect(seconds[0]?.data).toMatchObject({ partitions: [{}, { partition: 1, nextOffset: 2, frozen: 1 }] });
    await Promise.all(viewers.map(next));
    const fourths = await Promise.all(viewers.map(next));
    const { handled = [], failed = [], retried = [] } = fourths[0]?.data.rates ?? {};
    const total = (rates: readonly number[]): number => Math.round(rates.reduce((sum, rate) => sum + rate, 0));
    expect([total(handled), total(failed), total(retried)]).toEqual([3, 1, 0]);
    leave.abort();
    // One may be under way when they leave.
    await sleep(1_500);
    const before = asked;
    await sleep(1_500);
    expect(asked).toBe(before);
  });

  it('is each worker of a group, with those that come and go, on each of two boards', async () => {
    const first = await running(['bad']);
    const second = await running([], { name: 'invoices' });
    const third = await running(['bad'], { name: 'third' });
    const group = new WorkerGroup([first.worker, second.worker], { name: 'both' });
    const [one, other] = [await open(group, { allowActions: { token: TOKEN } }), await open(group)];
    expect(await snapshot(one.url)).toMatchObject({
      name: 'both',
      workers: [
        { id: 1, name: 'billing', state: 'idle' },
        { id: 2, name: 'invoices', state: 'idle' },
      ],
    });
    const starting = group.start();
    for (const { advance } of [first, second]) await advance();
    await starting;
    await other[Symbol.asyncDispose]();
    const removing = group.remove(second.worker);
    await second.advance(10_000);
    await removing;
    const adding = group.add(third.worker);
    await third.advance();
    await adding;
    // What was made for a viewer a moment ago is sent to the next one too.
    await sleep(1_000);
    const told = await snapshot(one.url);
    expect(told.workers.map(({ id, name, state }) => [id, name, state])).toEqual([
      [1, 'billing', 'running'],
      [3, 'third', 'running'],
    ]);
    // Workers are told apart by their numbers: the same record of both is frozen.
    expect(told.frozen.map(({ worker, offset }) => [worker, offset])).toEqual([
      [1, 0],
      [3, 0],
    ]);
    expect(told.failures.map(({ worker }) => worker).sort()).toEqual(['billing', 'third']);
    third.bad.error = undefined;
    expect((await unfreeze(one.url, { ...frozenAt1, worker: 3, offset: 0 })).status).toBe(200);
    await third.advance();
    expect([first, third].map(({ worker }) => worker.status().partitions[0]?.frozen.length)).toEqual([1, 0]);
    expect((await unfreeze(one.url, { ...frozenAt1, worker: 2, offset: 0 })).status).toBe(404);
  });

  it('says so when the worker has stopped', async () => {
    const { worker, start, stop } = await running();
    const { url } = await open(worker, { allowActions: { token: TOKEN } });
    await start();
    await stop();
    expect(await snapshot(url)).toMatchObject({ state: 'stopped', ready: false, reasons: ['stopped'], frozen: [] });
    const refused = await unfreeze(url, frozenAt1);
    expect(refused.status).toBe(409);
    expect(await refused.json()).toEqual({ error: 'the worker is stopped: nothing can be unfrozen' });
  });

  it('is why, when the worker cannot be looked at; the worker goes on', async () => {
    const { worker, start, advance, kafka } = await running(['fine']);
    worker.health = () => {
      throw new Error('no health');
    };
    const { url } = await open(worker);
    await start();
    expect(await next(eventsOf(url))).toEqual({ event: 'trouble', data: { message: 'no health' } });
    kafka.send([{ topic: 't', partition: 0, value: 'x' }]);
    await advance();
    expect(worker.status().partitions[0]?.nextOffset).toBe(2);
  });
});

describe('an action', () => {
  it('is refused without allowActions', async () => {
    const { worker, start } = await running();
    const { url } = await open(worker);
    await start();
    const refused = await unfreeze(url, frozenAt1);
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain('give it allowActions with a token');
    expect(worker.status().partitions[0]?.frozen).toHaveLength(1);
  });

  it.each([
    ['a wrong token', { authorization: `Bearer ${TOKEN}x` }, 'the token is wrong'],
    ['a part of it', { authorization: `Bearer ${TOKEN.slice(1)}` }, 'the token is wrong'],
    ['none', {}, 'the token is missing'],
    ['one in a cookie', { cookie: `token=${TOKEN}` }, 'the token is missing'],
  ])('is refused with %s', async (_, headers, error) => {
    const { worker, start } = await running();
    const { url } = await open(worker, { allowActions: { token: TOKEN } });
    await start();
    const refused = await unfreeze(url, frozenAt1, headers);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toEqual({ error });
    expect(worker.status().partitions[0]?.frozen).toHaveLength(1);
  });

  it('tries the record again, or passes it over, with the token: the record that was looked at, and no other', async () => {
    const { worker, start, advance, bad } = await running(['fine', 'bad', 'bad', 'fine']);
    const { url } = await open(worker, { allowActions: { token: TOKEN } });
    await start();
    const skipped = await unfreeze(url, { ...frozenAt1, skip: true });
    expect([skipped.status, await skipped.json()]).toEqual([200, { done: 't/0: offset 1 was passed over' }]);
    await advance();
    expect(worker.status().partitions[0]).toMatchObject({ nextOffset: 2, frozen: [{ offset: 2 }] });
    const late = await unfreeze(url, { ...frozenAt1, skip: true });
    expect([late.status, await late.json()]).toEqual([
      409,
      { error: expect.stringContaining('t/0 is not frozen at offset 1, but the partition at 2 is') },
    ]);
    bad.error = undefined;
    const retried = await unfreeze(url, { ...frozenAt1, offset: 2 });
    expect(await retried.json()).toEqual({ done: 't/0: offset 2 is tried again' });
    await advance();
    expect(worker.status().partitions[0]).toMatchObject({ nextOffset: 4, frozen: [] });
  });

  it.each([
    ['no JSON', '{'],
    ['no skip', JSON.stringify({ ...frozenAt1, skip: undefined })],
    ['an offset that is text', JSON.stringify({ ...frozenAt1, offset: '1' })],
    ['too much', JSON.stringify({ ...frozenAt1, more: 'x'.repeat(5_000) })],
    ['a topic that can be none', JSON.stringify({ ...frozenAt1, topic: '..' })],
  ])('is refused with %s', async (_, body) => {
    const { worker, start } = await running();
    const { url } = await open(worker, { allowActions: { token: TOKEN } });
    await start();
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect((await fetch(`${url}/unfreeze`, { method: 'POST', headers, body })).status).toBe(400);
    expect(worker.status().partitions[0]?.frozen).toHaveLength(1);
  });

  it('is not answered for a while after many wrong tokens, be the next one right', async () => {
    const { worker, start } = await running();
    const { url } = await open(worker, { allowActions: { token: TOKEN } });
    await start();
    const statuses: number[] = [];
    for (let i = 0; i < 10; i++)
      statuses.push((await unfreeze(url, frozenAt1, { authorization: `Bearer ${i}` })).status);
    expect(new Set(statuses)).toEqual(new Set([401]));
    expect((await unfreeze(url, frozenAt1)).status).toBe(429);
  });
});

describe('a request from somewhere else', () => {
  it('under a name that anybody may have is refused, for it may come of a page that has rebound its name', async () => {
    const { worker } = await running();
    const { url } = await open(worker, { hostNames: ['board.internal'] });
    const { port } = new URL(url);
    const statuses = async (host: string): Promise<unknown> =>
      Promise.all(['/', '/events'].map((path) => ask(url, { host }, path)));
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example'])
      expect([host, await statuses(host)]).toEqual([host, [421, 421]]);
    for (const host of [`127.0.0.1:${port}`, 'localhost:80', '[::1]:8080', '10.0.0.7', 'Board.Internal:8443'])
      expect([host, await statuses(host)]).toEqual([host, [200, 200]]);
  });

  it('of another origin gets no events and no action, and the right one does', async () => {
    const { worker } = await running();
    const { url } = await open(worker, { allowActions: { token: TOKEN } });
    const { host } = new URL(url);
    const statuses = async (headers: Record<string, string>): Promise<unknown> =>
      Promise.all([
        ask(url, { host, ...headers }, '/events'),
        ask(url, { host, authorization: `Bearer ${TOKEN}`, ...headers }, '/unfreeze', 'POST'),
      ]);
    expect(await statuses({ origin: 'http://evil.example' })).toEqual([403, 403]);
    expect(await statuses({ origin: 'null' })).toEqual([403, 403]);
    expect(await statuses({ 'sec-fetch-site': 'cross-site' })).toEqual([403, 403]);
    expect(await statuses({ origin: url, 'sec-fetch-site': 'same-origin' })).toEqual([200, 400]);
  });

  it('is told in every answer that nothing else may be run, framed or asked', async () => {
    const { worker } = await running();
    const { url } = await open(worker);
    for (const path of ['/', '/board.js', '/nothing']) {
      const { headers } = await fetch(`${url}${path}`);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain('unsafe');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });
});

describe('the server of a board', () => {
  it('serves the page and what it loads, and says 404 and 405 to everything else', async () => {
    const { worker } = await running();
    const { url } = await open(worker);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const page = await fetch(url);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const files = [...(await page.text()).matchAll(/(?:href|src)="([\w.]+)"/g)].map(([, file]) => file);
    expect(files.sort()).toEqual(['board.css', 'board.js', 'icon.svg']);
    for (const file of [...files, 'dom.js']) expect((await fetch(`${url}/${file}`)).status).toBe(200);
    for (const path of ['/toString', '/page-files.ts', '/../package.json']) expect(await ask(url, {}, path)).toBe(404);
    expect(await ask(url, {}, '/', 'POST')).toBe(405);
    expect(await ask(url, {}, '/unfreeze')).toBe(405);
    expect(await ask(url, {}, '/', 'HEAD')).toBe(200);
  });

  it('has so many viewers and no more, until one leaves', async () => {
    const { worker } = await running();
    const { url } = await open(worker);
    const leave = new AbortController();
    for (let i = 0; i < 31; i++) await eventsOf(url).next();
    await eventsOf(url, leave.signal).next();
    const refused = await fetch(`${url}/events`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10']);
    leave.abort();
    await sleep(100);
    expect((await next(eventsOf(url))).event).toBe('snapshot');
  });

  it('ends with viewers at once, frees its port, and listens to the worker no more', async () => {
    const { worker, start, advance, kafka } = await running(['fine']);
    const on = worker.on.bind(worker);
    let listeners = 0;
    worker.on = (event, listener) => {
      const off = on(event, listener);
      listeners++;
      return () => {
        listeners--;
        off();
      };
    };
    const made = await open(worker);
    expect(listeners).toBeGreaterThan(0);
    await start();
    const viewer = eventsOf(made.url);
    await viewer.next();
    const ended = viewer.next().then(
      ({ done }) => done,
      (error: unknown) => (error as Error).message,
    );
    await Promise.all([made[Symbol.asyncDispose](), made[Symbol.asyncDispose]()]);
    expect(await ended).toBe('terminated');
    expect(listeners).toBe(0);
    const { url } = await open(worker, { port: Number(new URL(made.url).port) });
    expect(url).toBe(made.url);
    kafka.send([{ topic: 't', partition: 0, value: 'x' }]);
    await advance();
    expect(worker.status().partitions[0]?.nextOffset).toBe(2);
  });

  it('is refused a port that somebody listens on, and leaves nothing behind', async () => {
    const { worker } = await running();
    const { url } = await open(worker);
    const port = Number(new URL(url).port);
    worker.on = () => {
      throw new Error('it listens');
    };
    await expect(board(worker, { port })).rejects.toThrow(
      `port: expected a port that nobody listens on: take another, or 0 for any free one, or end the other process, received ${port}`,
    );
  });

  it.each([
    [{}, 'port'],
    [{ port: 0, host: '' }, 'host'],
    [{ port: 0, allowActions: {} }, 'allowActions.token'],
    [{ port: 0, allowActions: null }, 'allowActions.token'],
    [{ port: 0, allowActions: { token: '' } }, 'allowActions.token'],
    [{ port: 0, allowActions: { token: 'my secret is long' } }, 'allowActions.token'],
    [{ port: 0, allowActions: { token: 'secret' } }, 'allowActions.token'],
    [{ port: 0, token: 'secret' }, 'token'],
    [{ port: 0, hostNames: 'x' }, 'hostNames'],
    [undefined, 'options'],
  ])('is refused with %j, and no token is in the message', async (options, option) => {
    const { worker } = await running();
    const refused = board(worker, options as BoardOptions);
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_OPTION', option });
    await expect(refused).rejects.not.toThrow('secret');
  });

  it('needs a worker or a group', async () => {
    await expect(board({} as never, { port: 0 })).rejects.toMatchObject({ option: 'target' });
  });
});
