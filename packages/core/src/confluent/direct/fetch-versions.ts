import { apiVersionsApi, readApiVersionsResponse, writeApiVersionsRequest } from './api-versions.ts';
import { BrokerConnection } from './broker-connection.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import { toAddress } from './metadata-source.ts';

/** Kafka's key of a request for records. */
export const FETCH = 1;

/** From this version on a request names topics by their ids. */
const OLDEST_VERSION = 13;
const NEWEST_VERSION = 17;

/** The version of requests for records to use with a broker, or what stands against using any. @throws Error when it does not answer */
export async function fetchVersion(
  connection: BrokerConnection,
): Promise<{ readonly version: number } | { readonly against: string }> {
  const api = { ...apiVersionsApi, isAnswerHeaderOld: true };
  const versions = readApiVersionsResponse(await connection.request(api, writeApiVersionsRequest()));
  const newest = versions?.get(FETCH) ?? 0;
  if (newest >= OLDEST_VERSION) return { version: Math.min(newest, NEWEST_VERSION) };
  return {
    against: `the broker takes requests for records up to version ${newest}, and the direct reader needs ${OLDEST_VERSION}, of Kafka 3.1`,
  };
}

/** What stands against the direct reader on the first broker that answers; undefined for nothing. Each has `timeoutMs`. @throws Error when none answers */
export async function againstDirect(
  library: DirectLibrary,
  { brokers, clientId, connection: own }: DirectOptions,
  timeoutMs: number,
): Promise<string | undefined> {
  const timeouts = { connectTimeout: timeoutMs, requestTimeout: timeoutMs };
  let failure: unknown;
  for (const broker of brokers) {
    let connection: BrokerConnection | undefined;
    try {
      connection = await BrokerConnection.open(library, toAddress(broker), { clientId, ...own, ...timeouts });
      const answer = await fetchVersion(connection);
      return 'against' in answer ? answer.against : undefined;
    } catch (error) {
      failure = error;
    } finally {
      connection?.close();
    }
  }
  throw failure;
}
