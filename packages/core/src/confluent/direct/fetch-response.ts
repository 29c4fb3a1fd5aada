import { type BrokerAddress, readBroker } from './broker-address.ts';
import { ByteReader } from './byte-reader.ts';

/** A transaction that was aborted, as a leader tells those who read committed records only. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** What came of one partition. */
export interface FetchedPartition {
  readonly partition: number;
  /** Kafka's; 0 for none. */
  readonly errorCode: number;
  /** -1 where the broker does not tell. */
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly abortedTransactions: readonly AbortedTransaction[];
  /** A replica that had better be asked (KIP-392); -1 for none. */
  readonly preferredReadReplica: number;
  /** Record batches, the last one possibly cut off; a view of the response. */
  readonly records: Buffer | null;
  /** Where the leader's log parts from what was read: the largest epoch it has below the asked one, and that epoch's end (KIP-320). */
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: number } | undefined;
  /** Told with an error that says that the asked broker leads no more. */
  readonly currentLeader: { readonly id: number; readonly epoch: number } | undefined;
}

/** A broker's answer. */
export interface FetchResponse {
  readonly throttleMs: number;
  readonly errorCode: number;
  readonly topics: readonly { readonly topicId: string; readonly partitions: readonly FetchedPartition[] }[];
  /** Where the leaders are that it names. */
  readonly brokers: readonly BrokerAddress[];
}

/** Reads a Fetch response, version 13 to 17: they differ in tagged fields only. @throws MalformedBytes */
export function readFetchResponse(bytes: Buffer): FetchResponse {
  const reader = new ByteReader(bytes);
  const throttleMs = reader.int32();
  const errorCode = reader.int16();
  reader.int32(); // The session: none was asked for.
  const topics = reader.array(() => {
    const topicId = reader.uuid();
    const partitions = reader.array(readPartition);
    reader.taggedFields();
    return { topicId, partitions };
  });
  let brokers: readonly BrokerAddress[] = [];
  reader.taggedFields({
    0: (field) => {
      brokers = field.array(readBroker);
    },
  });
  reader.end();
  return { throttleMs, errorCode, topics, brokers };
}

function readPartition(reader: ByteReader): FetchedPartition {
  const fixed = {
    partition: reader.int32(),
    errorCode: reader.int16(),
    highWatermark: reader.int64(),
    lastStableOffset: reader.int64(),
    logStartOffset: reader.int64(),
    abortedTransactions: reader.array(readAborted),
    preferredReadReplica: reader.int32(),
    records: reader.nullableBytes(),
  };
  let divergingEpoch: FetchedPartition['divergingEpoch'];
  let currentLeader: FetchedPartition['currentLeader'];
  reader.taggedFields({
    0: (field) => {
      const epoch = field.int32();
      const endOffset = field.int64();
      if (epoch >= 0 || endOffset >= 0) divergingEpoch = { epoch, endOffset };
    },
    1: (field) => {
      const id = field.int32();
      const epoch = field.int32();
      if (id >= 0) currentLeader = { id, epoch };
    },
  });
  return { ...fixed, divergingEpoch, currentLeader };
}

function readAborted(reader: ByteReader): AbortedTransaction {
  const producerId = reader.int64();
  const firstOffset = reader.int64();
  reader.taggedFields();
  return { producerId, firstOffset };
}
