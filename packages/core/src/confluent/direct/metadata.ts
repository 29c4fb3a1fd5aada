import { type BrokerAddress, readBroker } from './broker-address.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { MalformedBytes } from './malformed-bytes.ts';

/** Kafka's key of this request, and the one version that is used: the first that asks for topics by name and tells their ids. */
export const metadataApi = { key: 3, version: 12 } as const;

/** A topic as a broker knows it. */
export interface TopicMetadata {
  readonly name: string;
  /** Kafka's; 0 for none. */
  readonly errorCode: number;
  readonly topicId: string;
  readonly partitions: readonly {
    readonly partition: number;
    /** -1 while there is none. */
    readonly leaderId: number;
    readonly leaderEpoch: number;
  }[];
}

/** Who leads what, and where. */
export interface Metadata {
  readonly brokers: readonly BrokerAddress[];
  readonly topics: readonly TopicMetadata[];
}

/** What stands in the place of a topic's id where it has none: that of a cluster which was upgraded halfway. */
export const NO_TOPIC_ID: string = '0'.repeat(32);

/** @see https://kafka.apache.org/protocol#The_Messages_Metadata */
export function writeMetadataRequest(topics: readonly string[]): Buffer {
  const writer = new ByteWriter();
  writer.array(topics, (name) => {
    writer.uuid(NO_TOPIC_ID).string(name).noTaggedFields();
  });
  // Neither are topics created, nor rights told.
  return writer.int8(0).int8(0).noTaggedFields().bytes;
}

/** @throws MalformedBytes */
export function readMetadataResponse(bytes: Buffer): Metadata {
  const reader = new ByteReader(bytes);
  reader.int32(); // For how long the broker holds requests back.
  const brokers = reader.array(readBroker);
  reader.nullableString(); // The cluster.
  reader.int32(); // The controller.
  const topics = reader.array(readTopic);
  reader.taggedFields();
  reader.end();
  return { brokers, topics };
}

function readTopic(reader: ByteReader): TopicMetadata {
  const errorCode = reader.int16();
  const name = reader.nullableString();
  const topicId = reader.uuid();
  reader.int8(); // Whether it is internal.
  const partitions = reader.array(() => {
    reader.int16(); // What is wrong with it is in the leader that it has not.
    const partition = reader.int32();
    const leaderId = reader.int32();
    const leaderEpoch = reader.int32();
    for (const _list of ['replicas', 'in sync', 'offline']) reader.array(() => reader.int32());
    reader.taggedFields();
    return { partition, leaderId, leaderEpoch };
  });
  reader.int32(); // Rights.
  reader.taggedFields();
  if (name === null) throw new MalformedBytes('a topic that was asked for by name has none');
  return { name, errorCode, topicId, partitions };
}
