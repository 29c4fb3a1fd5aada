import type { ByteReader } from './byte-reader.ts';

/** Where a broker listens. */
export interface BrokerAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

/** As metadata and fetch responses have it. @throws MalformedBytes */
export function readBroker(reader: ByteReader): BrokerAddress {
  const id = reader.int32();
  const host = reader.string();
  const port = reader.int32();
  reader.nullableString(); // The rack.
  reader.taggedFields();
  return { id, host, port };
}
