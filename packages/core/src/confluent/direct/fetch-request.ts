import { ByteWriter } from './byte-writer.ts';

/** What is asked of one partition. */
export interface FetchPartition {
  readonly partition: number;
  /** The leader's epoch that the asker knows; -1 for none. A leader of another one refuses (KIP-320). */
  readonly leaderEpoch: number;
  readonly offset: number;
  /** The epoch of the last record before `offset`; -1 for none. The leader compares it with its own log (KIP-320). */
  readonly lastFetchedEpoch: number;
  readonly maxBytes: number;
}

/** A request for records, to one broker. */
export interface FetchRequest {
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly isReadCommitted: boolean;
  /** Empty for none. */
  readonly rack: string;
  readonly topics: readonly { readonly topicId: string; readonly partitions: readonly FetchPartition[] }[];
}

const CONSUMER = -1;
const NO_SESSION = 0;
const NO_SESSION_EPOCH = -1;
const UNKNOWN_LOG_START = -1;

/** Writes a Fetch request, version 13 to 17: those with topic ids. @see https://kafka.apache.org/protocol#The_Messages_Fetch */
export function writeFetchRequest(version: number, request: FetchRequest): Buffer {
  const writer = new ByteWriter();
  // From 15 on only a replica says who it is, in a tagged field.
  if (version < 15) writer.int32(CONSUMER);
  return writer
    .int32(request.maxWaitMs)
    .int32(request.minBytes)
    .int32(request.maxBytes)
    .int8(request.isReadCommitted ? 1 : 0)
    .int32(NO_SESSION)
    .int32(NO_SESSION_EPOCH)
    .array(request.topics, ({ topicId, partitions }) => {
      writer
        .uuid(topicId)
        .array(partitions, ({ partition, leaderEpoch, offset, lastFetchedEpoch, maxBytes }) => {
          writer
            .int32(partition)
            .int32(leaderEpoch)
            .int64(offset)
            .int32(lastFetchedEpoch)
            .int64(UNKNOWN_LOG_START)
            .int32(maxBytes)
            .noTaggedFields();
        })
        .noTaggedFields();
    })
    .array([], () => {})
    .string(request.rack)
    .noTaggedFields().bytes;
}
