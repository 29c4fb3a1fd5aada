import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type ConfluentKafkaOptions, resolveConfluentKafkaOptions } from './client-options.ts';
import { confluentKafka } from './index.ts';
import { chooseReader, loadReader, readerPlan } from './reader-plan.ts';

const brokers = ['localhost:9092'];
const planOf = (options: Partial<ConfluentKafkaOptions>, properties = {}) =>
  readerPlan(resolveConfluentKafkaOptions({ brokers, ...options }), properties);

describe('the option reader', () => {
  it('is auto unless it is given', () => {
    expect(planOf({})).toMatchObject({ reader: 'auto' });
  });

  it('is refused where it is none', () => {
    expect(() => confluentKafka({ brokers, reader: 'fast' as 'auto' })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'reader' }),
    );
  });

  it.each(['ssl.ca.location', 'sasl.username', 'security.protocol', 'enable.ssl.certificate.verification'])(
    'cannot be direct with security by a property, %s, and auto is librdkafka then',
    (name) => {
      const value = name.startsWith('enable') ? false : name === 'security.protocol' ? 'plaintext' : '/x';
      const librdkafka = { [name]: value };
      expect(() => confluentKafka({ brokers, reader: 'direct', librdkafka })).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION', option: `librdkafka["${name}"]` }),
      );
      expect(planOf({ reader: 'auto', librdkafka })).toEqual({
        reader: 'librdkafka',
        why: `librdkafka["${name}"] is given, which only librdkafka follows`,
      });
    },
  );

  it('cannot be direct with a plug-in of librdkafka', () => {
    expect(planOf({ reader: 'auto', librdkafka: { 'plugin.library.paths': 'x' } })).toMatchObject({
      reader: 'librdkafka',
      why: expect.stringMatching(/plugin\.library\.paths/),
    });
  });

  it('takes over what the cluster is given: security, rack, isolation, and the properties for fetching', () => {
    const plan = planOf(
      {
        ...{ reader: 'direct', tls: { ca: '-----BEGIN CERTIFICATE-----' } },
        sasl: { mechanism: 'scram-sha-256', username: 'u', password: 'p' },
        librdkafka: {
          'fetch.wait.max.ms': 7,
          'max.partition.fetch.bytes': 1_000,
          'socket.timeout.ms': 900,
          'socket.connection.setup.timeout.ms': 4_000,
        },
      },
      { 'client.id': 'c', 'client.rack': 'r', 'isolation.level': 'read_uncommitted' },
    );
    expect(plan).toMatchObject({
      reader: 'direct',
      options: {
        ...{ brokers, clientId: 'c', rack: 'r', isReadCommitted: false, maxWaitMs: 7, partitionBytes: 1_000 },
        connection: {
          ...{ requestTimeout: 907, connectTimeout: 4_000 },
          tls: { ca: '-----BEGIN CERTIFICATE-----' },
          sasl: { mechanism: 'SCRAM-SHA-256', username: 'u', password: 'p' },
        },
      },
    });
  });
});

describe('auto', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
    server = undefined;
  });

  const listening = async (newestFetch: number | undefined): Promise<string> => {
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (request: Buffer) => {
        if (newestFetch === undefined) return;
        // The answer to the question for versions: of requests for records, and for metadata.
        const answer = Buffer.from([0, 0, 3, 0, 1, 0, 4, 0, newestFetch, 0, 0, 3, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0]);
        const head = Buffer.alloc(8);
        head.writeInt32BE(answer.length + 4);
        request.copy(head, 4, 8, 12);
        socket.write(Buffer.concat([head, answer]));
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  };

  const chosen = async (newestFetch: number | undefined, timeoutMs = 5_000) => {
    const plan = planOf({ reader: 'auto', brokers: [await listening(newestFetch)] });
    return chooseReader(await loadReader(plan), new AbortController().signal, timeoutMs);
  };

  it('is direct where the broker can', async () => {
    expect(await chosen(13)).toMatchObject({ reader: 'direct', why: 'nothing stands against it' });
  });

  it('is direct where one broker can, though the first that is named does not even refuse', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    try {
      const plan = planOf({ reader: 'auto', brokers: [`127.0.0.1:${port}`, await listening(13)] });
      const { reader } = await chooseReader(await loadReader(plan), new AbortController().signal, 1_000);
      expect(reader).toBe('direct');
    } finally {
      // Nothing is left open to it.
      await new Promise<void>((resolve) => silent.close(() => resolve()));
    }
  });

  it('is librdkafka where the broker is too old, and says so', async () => {
    expect(await chosen(12)).toMatchObject({ reader: 'librdkafka', why: expect.stringMatching(/of version 4 to 12/) });
  });

  it('is librdkafka where no broker answers in time', async () => {
    const { reader, why } = await chosen(undefined, 200);
    expect([reader, why]).toEqual(['librdkafka', expect.stringMatching(/no answer within 200 ms/)]);
  });
});
