import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { Worker } from '../worker.ts';
import { confluentKafka, type SaslOptions } from './index.ts';

/** Kafka's keys of the requests of a login. */
const SASL_HANDSHAKE = 17;
const SASL_AUTHENTICATE = 36;

interface SecureKafka {
  readonly bootstrap: { readonly saslPlain: string };
  readonly plainUser: { readonly username: string; readonly password: string };
  readonly scramUser: { readonly username: string; readonly password: string };
  readonly oauthSubject: string;
}

const file = process.env.KAFKA_SECURE;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

if (file === undefined) {
  describe('a login on the way', () => {
    it.skip('needs a broker with secure listeners: set KAFKA_SECURE (npm run kafka -- start --secure prints it)', () => {});
  });
} else {
  describeLogin(JSON.parse(readFileSync(file, 'utf8')) as SecureKafka);
}

/** Between client and broker: cuts a connection when a request of one kind comes. */
class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  cuts = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `times` connections are cut, the others go through. */
  static async start(target: string, apiKey: number, how: 'closed' | 'reset', times: number): Promise<CuttingProxy> {
    const server = createServer();
    const proxy = new CuttingProxy(server);
    server.on('connection', (client) => proxy.#forward(client, target, apiKey, how, times));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => void this.#server.close(resolve));
  }

  #forward(client: Socket, target: string, apiKey: number, how: 'closed' | 'reset', times: number): void {
    const [host, port] = target.split(':');
    const broker = connect(Number(port), host);
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('close', () => broker.destroy());
    broker.on('close', () => client.destroy());
    broker.pipe(client);
    // The requests of a login are small and wait for each other: each comes in one piece, a length and then its key.
    client.on('data', (request) => {
      if (this.cuts >= times || request.readInt16BE(4) !== apiKey) {
        broker.write(request);
        return;
      }
      this.cuts++;
      if (how === 'reset') client.resetAndDestroy();
      else client.destroy();
    });
  }
}

function describeLogin(secure: SecureKafka): void {
  const { saslPlain } = secure.bootstrap;
  const open: { close(): Promise<unknown> }[] = [];
  const token = (lifetimeMs: number) => async () => ({
    value: unsecuredToken(secure.oauthSubject, lifetimeMs),
    expiresAt: Date.now() + lifetimeMs,
    principal: secure.oauthSubject,
  });
  const logins: readonly SaslOptions[] = [
    { mechanism: 'plain', ...secure.plainUser },
    { mechanism: 'scram-sha-256', ...secure.scramUser },
    { mechanism: 'oauthbearer', token: token(3_600_000) },
  ];
  const everyWay = [SASL_HANDSHAKE, SASL_AUTHENTICATE].flatMap((apiKey) => [
    { apiKey, how: 'closed' as const },
    { apiKey, how: 'reset' as const },
  ]);
  const cuts = logins.flatMap((sasl) =>
    everyWay
      // For the other mechanisms half of the ways will do.
      .filter((_, i) => sasl.mechanism === 'plain' || i === 1 || i === 2)
      .map((way) => ({ mechanism: sasl.mechanism, ...way, sasl })),
  );
  const common = { clock: systemClock, logger: quiet };

  describe('a login on the way', () => {
    afterEach(async () => {
      for (const one of open.splice(0)) await one.close();
    });

    it.each(cuts)(
      'that is cut is tried again: $mechanism, request $apiKey, $how',
      async ({ sasl, apiKey, how }) => {
        const proxy = await CuttingProxy.start(saslPlain, apiKey, how, 2);
        open.push(proxy);
        const kafka = confluentKafka({ brokers: [proxy.address], sasl });
        const consumer = kafka.consumer({ groupId: uniqueName('group'), groupProtocol: 'consumer', ...common });
        open.unshift(consumer);
        await consumer.connect({ timeoutMs: 20_000 });
        expect(proxy.cuts).toBe(2);
        const { errors } = await consumer.poll(1, 100);
        expect(errors.filter(({ name }) => name !== 'ConnectionError')).toEqual([]);
        expect((await consumer.partitionCounts()).size).toBeGreaterThan(0);
      },
      30_000,
    );

    it.each(cuts)(
      'that is cut until the time is up is a failed connection, not a refusal: $mechanism, request $apiKey, $how',
      async ({ sasl, apiKey, how }) => {
        const proxy = await CuttingProxy.start(saslPlain, apiKey, how, Number.POSITIVE_INFINITY);
        open.push(proxy);
        const kafka = confluentKafka({ brokers: [proxy.address], sasl });
        const consumer = kafka.consumer({ groupId: uniqueName('group'), groupProtocol: 'consumer', ...common });
        const producer = kafka.producer(common);
        open.unshift(consumer, { close: () => producer.close(0) });
        const failed = { name: 'ConnectionError', retriable: true };
        await Promise.all([
          expect(consumer.connect({ timeoutMs: 2_000 })).rejects.toMatchObject(failed),
          expect(producer.connect({ timeoutMs: 2_000 })).rejects.toMatchObject(failed),
        ]);
        expect(proxy.cuts).toBeGreaterThan(2);
      },
    );

    it('with a token that expires is renewed, and the worker goes on', async () => {
      let asked = 0;
      const short = token(7_000);
      const kafka = confluentKafka({
        brokers: [saslPlain],
        sasl: {
          mechanism: 'oauthbearer',
          token: () => {
            asked++;
            return short();
          },
        },
      });
      const permanent = confluentKafka({ brokers: [saslPlain], sasl: { mechanism: 'plain', ...secure.plainUser } });
      const clients = new TestClients({ cluster: permanent, clock: systemClock, dispose: () => Promise.resolve() });
      open.push(clients);
      const topic = await clients.topic(1);
      const handled: number[] = [];
      const worker = new Worker({
        ...{ kafka, groupId: uniqueName('group'), topics: topic, logger: quiet, commit: { everyMs: 100 } },
        handler: ({ offset }) => void handled.push(offset),
      });
      open.unshift({ close: () => worker.stop().catch(() => {}) });
      worker.finished.catch(() => {});
      const errors: unknown[] = [];
      // A connection may have to be made anew meanwhile; that is all.
      worker.on('error', ({ error }) => {
        if (error.name !== 'ConnectionError') errors.push(error);
      });
      await worker.start();
      const startedAt = Date.now();
      let sent = 0;
      // Two tokens have expired then.
      while (Date.now() - startedAt < 15_000) {
        await clients.sendNumbers(topic, 0, 1, sent++);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      while (worker.state === 'running' && worker.status().partitions[0]?.committedOffset !== sent)
        await new Promise((resolve) => setTimeout(resolve, 20));
      expect([worker.state, errors]).toEqual(['running', []]);
      expect(handled).toEqual(Array.from({ length: sent }, (_, offset) => offset));
      expect(asked).toBeGreaterThanOrEqual(3);
    }, 60_000);
  });
}

/** An unsecured JSON web token, which the test broker takes. */
function unsecuredToken(subject: string, lifetimeMs: number): string {
  const seconds = Math.floor(Date.now() / 1_000);
  const claims = { sub: subject, iat: seconds - 120, exp: seconds + Math.ceil(lifetimeMs / 1_000) };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.`;
}
