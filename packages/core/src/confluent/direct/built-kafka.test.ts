import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ScriptedBroker } from '../../testing/scripted-broker.ts';
import { BrokerConnection } from './broker-connection.ts';
import type { DirectLibrary } from './direct-library.ts';
import { fetchVersion } from './fetch-versions.ts';
import { compressionsAlgorithms } from './kafka-codecs.ts';

type Built = typeof import('./kafka-connection.ts') & typeof import('./kafka-codecs.ts');

const core = join(import.meta.dirname, '..', '..', '..');
const output = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-built-'));
const directory = join(output, 'confluent', 'direct');
const modules = ['kafka-connection', 'kafka-codecs', 'kafka-shared'];

beforeAll(async () => {
  const tsdown = join(core, 'node_modules', '.bin', 'tsdown');
  await promisify(execFile)(tsdown, ['--config', 'tsdown.kafka.config.ts', '--out-dir', output], { cwd: core });
}, 60_000);
afterAll(() => rmSync(output, { recursive: true, force: true }));

/** What users get in the place of the two modules that import the package. */
async function load(kind: 'mjs' | 'cjs'): Promise<Built> {
  const [connection, codecs] = modules.slice(0, 2).map((name) => join(directory, `${name}.${kind}`));
  if (connection === undefined || codecs === undefined) throw new Error('nothing was built');
  if (kind === 'mjs') return { ...(await import(connection)), ...(await import(codecs)) } as Built;
  const require = createRequire(connection);
  return { ...require(connection), ...require(codecs) } as Built;
}

describe('what is built of @platformatic/kafka', () => {
  // Loading it took half a second, nearly all of it for the schemas of clients that nobody here uses.
  it('has its connections in it, and neither its clients nor what they need', () => {
    const names = modules.flatMap((name) => {
      const text = readFileSync(join(directory, `${name}.mjs`), 'utf8');
      return [...text.matchAll(/^\/\/#region .*node_modules\/(.+)$/gm)].map(([, file = '']) => file);
    });
    expect(names).toContain('@platformatic/kafka/dist/network/connection.js');
    expect(names.filter((name) => /\/(?:clients|registries)\/|^ajv|^avsc/.test(name))).toEqual([]);
  });

  it('comes with the licences of all that is in it', () => {
    const text = readFileSync(join(directory, 'kafka-licenses.txt'), 'utf8');
    const named = [...text.matchAll(/^-{80}\n\n(\S+) [\d.]+ \(.+\)$/gm)].map(([, name]) => name);
    const packages = ['@platformatic/dynamic-buffer', '@platformatic/kafka', '@platformatic/wasm-utils'];
    expect(named).toEqual([...packages, 'debug', 'fastq', 'ms', 'reusify']);
    expect(text).toContain('Apache License');
  });

  it.each(['mjs', 'cjs'] as const)('speaks with a broker, and unpacks, as .%s', async (kind) => {
    const { Connection, Writer, compressionsAlgorithms: built } = await load(kind);
    const library = {
      newConnection: (clientId, options) => new Connection(clientId, options),
      toWriter: (bytes) => Writer.create().append(bytes),
    } as DirectLibrary;
    const broker = await new ScriptedBroker(1).start();
    try {
      const address = { host: '127.0.0.1', port: broker.port };
      const connection = await BrokerConnection.open(
        library,
        address,
        { clientId: 'built' },
        new AbortController().signal,
      );
      expect(await fetchVersion(connection)).toEqual({ version: 17 });
      connection.close();
    } finally {
      await broker.stop();
    }
    const bytes = Buffer.from('some text, some text, some text');
    for (const codec of ['snappy', 'lz4'] as const) {
      expect(built[codec].decompressSync(compressionsAlgorithms[codec].compressSync(bytes))).toEqual(bytes);
    }
  });
});
