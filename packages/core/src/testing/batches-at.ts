import { type BatchHeader, readBatchHeader } from '../confluent/direct/batch-header.ts';
import { BrokerConnection, type RequestApi } from '../confluent/direct/broker-connection.ts';
import { loadDirectLibrary } from '../confluent/direct/direct-library.ts';
import { writeFetchRequest } from '../confluent/direct/fetch-request.ts';
import { readFetchResponse } from '../confluent/direct/fetch-response.ts';
import { FETCH } from '../confluent/direct/fetch-versions.ts';
import { metadataApi, readMetadataResponse, writeMetadataRequest } from '../confluent/direct/metadata.ts';
import { toAddress } from '../confluent/direct/metadata-source.ts';

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;
const fetchApi: RequestApi = { key: FETCH, version: 13 };

/** The batches of a topic's partition 0, as the only broker of a cluster (`host:port`) has them in its log. */
export async function batchesAt(broker: string, topic: string): Promise<BatchHeader[]> {
  const timeouts = { connectTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS };
  const options = { clientId: 'test', ...timeouts };
  const connection = await BrokerConnection.open(
    await loadDirectLibrary(),
    toAddress(broker),
    options,
    AbortSignal.timeout(TIMEOUT_MS),
  );
  try {
    const metadata = readMetadataResponse(await connection.request(metadataApi, writeMetadataRequest([topic])));
    const topicId = metadata.topics[0]?.topicId ?? '';
    const batches: BatchHeader[] = [];
    // A broker answers with one segment at a time.
    for (let read = -1; read < batches.length; ) {
      read = batches.length;
      const offset = (batches.at(-1)?.lastOffset ?? -1) + 1;
      const partition = { partition: 0, leaderEpoch: -1, offset, lastFetchedEpoch: -1, maxBytes: MAX_BYTES };
      const request = writeFetchRequest(fetchApi.version, {
        ...{ maxWaitMs: 0, minBytes: 1, maxBytes: MAX_BYTES, isReadCommitted: false, rack: '' },
        topics: [{ topicId, partitions: [partition] }],
      });
      const { topics } = readFetchResponse(await connection.request(fetchApi, request));
      const bytes = topics[0]?.partitions[0]?.records ?? Buffer.alloc(0);
      for (let at = 0; at < bytes.length; ) {
        const header = readBatchHeader(bytes, at);
        if (header === undefined) break;
        batches.push(header);
        at += header.bytes;
      }
    }
    return batches;
  } finally {
    connection.close();
  }
}
