import { execFile } from 'node:child_process';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from './errors.ts';
import { type HealthServer, type HealthServerOptions, healthServer } from './health-server.ts';
import type { Runnable } from './runnable.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { sourceProgram } from './testing/source-program.ts';
import { always, Stage } from './testing/stage.ts';
import { Worker } from './worker.ts';
import { WorkerGroup } from './worker-group.ts';

const program = fileURLToPath(new URL('./testing/health-server-process.ts', import.meta.url));
const servers: HealthServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

async function serve(target: Runnable, options: Partial<HealthServerOptions> = {}): Promise<HealthServer> {
  const server = await healthServer(target, { port: 0, host: '127.0.0.1', ...options });
  servers.push(server);
  return server;
}

async function get({ url }: HealthServer, path: string, method = 'GET') {
  const response = await fetch(`${url}${path}`, { method });
  const text = await response.text();
  const body = text === '' ? undefined : (JSON.parse(text) as object);
  return { status: response.status, headers: response.headers, body };
}

function idleWorker(): Worker {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
  return new Worker({ kafka, groupId: 'g', name: 'billing', topics: 't', clock: kafka.clock, handler: () => {} });
}

describe('a health server', () => {
  it('answers 200 to /live and /ready of a worker that does its work, and tells its status', async () => {
    const stage = new Stage([['a', 'b'], ['c']]);
    stage.hold('0@1');
    const server = await serve(await stage.start({ name: 'billing' }));
    expect(await get(server, '/live')).toMatchObject({ status: 200, body: { live: true, reasons: [] } });
    expect(await get(server, '/ready')).toMatchObject({ status: 200, body: { ready: true, reasons: [] } });
    const { status, headers, body } = await get(server, '/status?pretty');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toMatchObject({
      name: 'billing',
      state: 'running',
      health: { live: true, ready: true, reasons: [] },
      workers: [
        {
          ...{ name: 'billing', state: 'running', inFlightRecords: 1 },
          partitions: [
            { topic: 't', partition: 0, nextOffset: 1, blockedBy: { offset: 1, key: 'b' } },
            { topic: 't', partition: 1, nextOffset: 1 },
          ],
        },
      ],
    });
    expect(await stage.end()).toEqual([]);
  });

  it('is ready from the start to the beginning of the stop: not while running handlers end, which is live all the same', async () => {
    const stage = new Stage([['a']]);
    stage.hold('0@0');
    const worker = await stage.start();
    const server = await serve(worker);
    const stopping = worker.stop({ timeoutMs: 10_000 });
    expect(await get(server, '/ready')).toMatchObject({
      status: 503,
      body: { ready: false, reasons: ['stopping: running handlers end, what is finished is committed'] },
    });
    expect(stage.handled).toEqual([]);
    expect((await get(server, '/live')).status).toBe(200);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect(await stopping).toMatchObject({ state: 'stopped', handled: 1 });
    expect(await get(server, '/ready')).toMatchObject({ status: 503, body: { reasons: ['stopped'] } });
    expect(await stage.end()).toEqual([]);
  });

  it('answers 503 to /ready before the start, and to /live after a failure', async () => {
    const stage = new Stage([['a']], { onFailure: always({ do: 'stop' }) });
    const early = await serve(idleWorker());
    expect(await get(early, '/ready')).toMatchObject({ status: 503, body: { ready: false, reasons: ['not started'] } });
    expect((await get(early, '/live')).status).toBe(200);
    stage.fail('0@0');
    const worker = await stage.start();
    const server = await serve(worker);
    await stage.advance(1_000);
    expect(worker.state).toBe('failed');
    expect(await get(server, '/live')).toMatchObject({
      status: 503,
      body: { live: false, reasons: ['ended because of an error'] },
    });
  });

  it('serves a group: ready when all of its workers are, with the status of each', async () => {
    const first = idleWorker();
    const kafka = fakeKafka({ topics: { u: { partitions: 1 } } });
    const second = new Worker({ kafka, groupId: 'h', topics: 'u', clock: kafka.clock, handler: () => {} });
    const server = await serve(new WorkerGroup([first, second], { name: 'both' }));
    expect(await get(server, '/ready')).toMatchObject({
      status: 503,
      body: { reasons: ['billing: not started', 'h: not started'] },
    });
    expect((await get(server, '/status')).body).toMatchObject({
      name: 'both',
      state: 'idle',
      workers: [{ name: 'billing' }, { name: 'h' }],
    });
  });

  it('answers HEAD as GET, without a body', async () => {
    const server = await serve(idleWorker());
    const { status, headers, body } = await get(server, '/ready', 'HEAD');
    expect({ status, body }).toEqual({ status: 503, body: undefined });
    expect(headers.get('content-type')).toContain('json');
  });

  it.each(['/', '/healthz', '/live/', '/toString', '//live'])(
    'answers 404 with the paths that there are to %s',
    async (path) => {
      const server = await serve(idleWorker());
      expect(await get(server, path)).toMatchObject({
        status: 404,
        body: { paths: ['/live', '/ready', '/status'] },
      });
    },
  );

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
    const { status, headers } = await get(await serve(idleWorker()), '/live', method);
    expect(status).toBe(405);
    expect(headers.get('allow')).toBe('GET, HEAD');
  });

  it('answers 500 with the reason when it cannot be told', async () => {
    const worker = idleWorker();
    worker.status = () => {
      throw new Error('no status');
    };
    expect(await get(await serve(worker), '/status')).toMatchObject({ status: 500, body: { error: 'no status' } });
  });
});

describe('the address of a health server', () => {
  it('is any free port of every address, with the port 0 alone', async () => {
    const server = await serve(idleWorker(), { host: undefined as never });
    expect(server.url).toMatch(/^http:\/\/localhost:\d+$/);
    expect((await get(server, '/live')).status).toBe(200);
  });

  it('is written with brackets where it is one of IPv6', async () => {
    const server = await serve(idleWorker(), { host: '::1' }).catch((error: unknown) => error as Error);
    // Not every machine has it.
    if (server instanceof Error) expect(server.message).toContain('host: expected an address of this machine');
    else expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  });

  it('is refused when somebody listens there, with what helps', async () => {
    const { url } = await serve(idleWorker());
    const port = Number(new URL(url).port);
    const refused = serve(idleWorker(), { port });
    await expect(refused).rejects.toThrow(InvalidOptionError);
    await expect(refused).rejects.toThrow(
      `port: expected a port that nobody listens on: take another, or 0 for any free one, or end the other process, received ${port}`,
    );
  });

  it('is refused when it is none of this machine', async () => {
    await expect(serve(idleWorker(), { host: '203.0.113.1' })).rejects.toThrow(
      "host: expected an address of this machine, such as '127.0.0.1' or '0.0.0.0', received \"203.0.113.1\"",
    );
  });

  it.each([
    [{ port: undefined }, 'port'],
    [{ port: -1 }, 'port'],
    [{ port: 65_536 }, 'port'],
    [{ port: 80.5 }, 'port'],
    [{ port: '8080' }, 'port'],
    [{ port: 0, host: '' }, 'host'],
    [{ port: 0, host: 7 }, 'host'],
    [undefined, 'options'],
  ])('is refused as %j', async (options, option) => {
    const refused = healthServer(idleWorker(), options as HealthServerOptions);
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_OPTION', option });
  });

  it('needs a worker or a group', async () => {
    await expect(healthServer({} as never, { port: 0 })).rejects.toMatchObject({ option: 'target' });
  });
});

describe('the end of a health server', () => {
  it('frees its port, and can be asked for twice', async () => {
    const server = await serve(idleWorker());
    await Promise.all([server[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    await expect(fetch(server.url)).rejects.toThrow('fetch failed');
    const port = Number(new URL(server.url).port);
    expect((await serve(idleWorker(), { port })).url).toBe(server.url);
  });

  it('does not wait for connections that are kept alive, or that say nothing, or half of it', async () => {
    const server = await serve(idleWorker());
    const agent = new Agent({ keepAlive: true });
    const { port } = new URL(server.url);
    await new Promise<void>((resolve, reject) => {
      request(`${server.url}/live`, { agent }, (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end();
    });
    const silent = connect(Number(port), '127.0.0.1');
    const half = connect(Number(port), '127.0.0.1').on('error', () => {});
    half.write('GET /live HTTP/1.1\r\nhost: x\r\n');
    await sleep(50);
    const startedAt = performance.now();
    await server[Symbol.asyncDispose]();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    for (const socket of [silent, half]) socket.destroy();
    agent.destroy();
  });

  it.each(['open', 'close'])('is not waited for by the process: %s', async (what) => {
    const args = sourceProgram(program, what);
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
    expect(stdout).toBe('done\n');
  });
});
