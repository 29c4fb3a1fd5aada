import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type HttpService, Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { Counter, Gauge, Registry } from 'prom-client';
import { metrics } from './metrics.ts';
import { metricsServer } from './metrics-server.ts';

const servers: HttpService[] = [];
afterEach(async () => {
  jest.useRealTimers();
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

async function serve(registry: Registry): Promise<HttpService> {
  const server = await metricsServer(registry, { port: 0, host: '127.0.0.1' });
  servers.push(server);
  return server;
}

describe('a metrics server', () => {
  it('answers /metrics with what the registry has, a worker and others, in the format that Prometheus reads', async () => {
    const registry = new Registry();
    new Counter({ name: 'own_total', help: 'Of the user.', registers: [registry] }).inc(7);
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, handler: () => {} },
      plugins: [metrics({ registry })],
    });
    const starting = worker.start();
    await kafka.clock.advance(10);
    await starting;
    const { url } = await serve(registry);
    const response = await fetch(`${url}/metrics`);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, registry.contentType]);
    const text = await response.text();
    expect(text).toContain('own_total 7\n');
    expect(text).toContain('kafka_worker_state{worker="g",state="running"} 1\n');
    const stopping = worker.stop();
    await kafka.clock.advance(1_000);
    await stopping;
    expect(await (await fetch(`${url}/metrics`)).text()).not.toContain('worker="g"');
  });

  it('answers 500 with the reason when a metric throws, and 404 elsewhere', async () => {
    const registry = new Registry();
    const collect = (): void => {
      throw new Error('no value');
    };
    new Gauge({ name: 'broken', help: 'Throws.', registers: [registry], collect });
    const { url } = await serve(registry);
    const response = await fetch(`${url}/metrics`);
    expect([response.status, await response.json()]).toEqual([500, { error: 'no value' }]);
    expect((await fetch(url)).status).toBe(404);
  });

  it('answers 500 when a metric never answers', async () => {
    const registry = new Registry();
    new Gauge({ name: 'silent', help: 'Hangs.', registers: [registry], collect: () => new Promise<void>(() => {}) });
    const { url } = await serve(registry);
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] });
    const answer = fetch(`${url}/metrics`);
    while (jest.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve));
    const isOver = answer.then(() => true);
    let over = false;
    void isOver.then(() => {
      over = true;
    });
    while (!over) {
      jest.advanceTimersByTime(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const response = await answer;
    expect([response.status, await response.json()]).toEqual([
      500,
      { error: 'the registry did not answer within 9000 ms' },
    ]);
  });

  it('needs a registry, and a port', async () => {
    await expect(metricsServer({} as unknown as Registry, { port: 0 })).rejects.toMatchObject({ option: 'registry' });
    await expect(metricsServer(new Registry(), {} as never)).rejects.toMatchObject({ option: 'port' });
  });
});
