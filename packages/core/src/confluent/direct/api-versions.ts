import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/** Kafka's key of this request, and the version that is used. */
export const apiVersionsApi = { key: 18, version: 3 } as const;

const SOFTWARE = 'kafka-ts-worker';
const SOFTWARE_VERSION = '1';

/** @see https://kafka.apache.org/protocol#The_Messages_ApiVersions */
export function writeApiVersionsRequest(): Buffer {
  return new ByteWriter().string(SOFTWARE).string(SOFTWARE_VERSION).noTaggedFields().bytes;
}

/** The versions of a request that a broker takes. */
export interface VersionRange {
  readonly oldest: number;
  readonly newest: number;
}

/**
 * The versions of each request, by its key, that a broker takes. Undefined for a broker that does not take this very version of the question:
 * it answers in the form of the first one. @throws MalformedBytes
 */
export function readApiVersionsResponse(bytes: Buffer): ReadonlyMap<number, VersionRange> | undefined {
  const reader = new ByteReader(bytes);
  if (reader.int16() !== 0) return undefined;
  const versions = reader.array(() => {
    const key = reader.int16();
    const oldest = reader.int16();
    const newest = reader.int16();
    reader.taggedFields();
    return [key, { oldest, newest }] as const;
  });
  return new Map(versions);
}
