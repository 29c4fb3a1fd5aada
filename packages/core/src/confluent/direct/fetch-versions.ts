import { apiVersionsApi, readApiVersionsResponse, type VersionRange, writeApiVersionsRequest } from './api-versions.ts';
import { BrokerConnection } from './broker-connection.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import { metadataApi } from './metadata.ts';
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
  const fetch = versions?.get(FETCH) ?? { oldest: 0, newest: 0 };
  const metadata = versions?.get(metadataApi.key) ?? { oldest: 0, newest: 0 };
  const takes = (what: string, { oldest, newest }: VersionRange): string =>
    `the broker takes requests for ${what} of version ${oldest} to ${newest}`;
  if (fetch.newest < OLDEST_VERSION || fetch.oldest > NEWEST_VERSION)
    return {
      against: `${takes('records', fetch)}, and the direct reader needs one of ${OLDEST_VERSION} (Kafka 3.1) to ${NEWEST_VERSION}`,
    };
  if (metadata.newest < metadataApi.version || metadata.oldest > metadataApi.version)
    return { against: `${takes('metadata', metadata)}, and the direct reader needs ${metadataApi.version}` };
  return { version: Math.min(fetch.newest, NEWEST_VERSION) };
}

/**
 * What stands against the direct reader on the first broker that answers; undefined for nothing. All are asked at once, so that one which is away, and
 * may not even refuse, does not use up the time of the others.
 * @throws Error when none answers within `timeoutMs`, or `signal` is aborted
 */
export async function againstDirect(
  library: DirectLibrary,
  options: DirectOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const answered = new AbortController();
  const ending = AbortSignal.any([signal, answered.signal]);
  const asked = options.brokers.map((broker) => againstBroker(library, broker, options, timeoutMs, ending));
  try {
    return await Promise.any(asked);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    answered.abort();
  }
}

async function againstBroker(
  library: DirectLibrary,
  broker: string,
  { clientId, connection: own }: DirectOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const timeouts = { connectTimeout: timeoutMs, requestTimeout: timeoutMs };
  const connection = await BrokerConnection.open(library, toAddress(broker), { clientId, ...own, ...timeouts }, signal);
  try {
    const answer = await fetchVersion(connection);
    return 'against' in answer ? answer.against : undefined;
  } finally {
    connection.close();
  }
}
