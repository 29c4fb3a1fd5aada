import { setImmediate as turn } from 'node:timers/promises';
import zlib from 'node:zlib';
import type { Connection, ConnectionOptions, Writer } from '@platformatic/kafka';
import type { BatchCodecs } from './batch-codecs.ts';
import { GZIP, LZ4, SNAPPY, ZSTD } from './batch-codecs.ts';
import { unsnappy } from './snappy.ts';

/** What the direct reader takes from other packages: sockets with their framing, TLS and SASL, and codecs. */
export interface DirectLibrary {
  newConnection(clientId: string | undefined, options: ConnectionOptions): Connection;
  /** Bytes in the form in which a connection takes them. */
  toWriter(bytes: Buffer): Writer;
  readonly codecs: BatchCodecs;
}

let library: Promise<DirectLibrary> | undefined;

/** Loads them, once: only a direct reader has to wait for it. */
export function loadDirectLibrary(): Promise<DirectLibrary> {
  library ??= load();
  return library;
}

async function load(): Promise<DirectLibrary> {
  // With turns of the event loop in between, which loading holds.
  const { Connection, Writer } = await import('./kafka-connection.ts');
  await turn();
  const { compressionsAlgorithms, crc32c } = await import('./kafka-codecs.ts');
  await turn();
  const { decompress: unzstd } = await import('fzstd');
  const { snappy, lz4 } = compressionsAlgorithms;
  // Node has it from 22.15 on.
  const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (bytes: Buffer) => Buffer };
  return {
    newConnection: (clientId, options) => new Connection(clientId, options),
    toWriter: (bytes) => Writer.create().append(bytes),
    codecs: {
      crc32c: await nativeCrc32c(crc32c),
      decompress: {
        [GZIP]: (bytes) => zlib.gunzipSync(bytes),
        [SNAPPY]: (bytes) => unsnappy(bytes, (block) => snappy.decompressSync(block)),
        [LZ4]: (bytes) => lz4.decompressSync(bytes),
        [ZSTD]: zstdDecompressSync ?? ((bytes) => bufferOver(unzstd(bytes))),
      },
    },
  };
}

/** Three times as fast as the other one, which is there on every platform. */
async function nativeCrc32c(other: (bytes: Buffer) => number): Promise<(bytes: Buffer) => number> {
  try {
    const { crc32c } = await import('@node-rs/crc32');
    return (bytes) => crc32c(bytes);
  } catch {
    return other;
  }
}

function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
