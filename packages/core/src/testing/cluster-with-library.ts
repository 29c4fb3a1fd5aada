import { resolveConfluentKafkaOptions } from '../confluent/client-options.ts';
import { consumerProperties } from '../confluent/client-properties.ts';
import { ConfluentConsumer } from '../confluent/consumer.ts';
import { type DirectLibrary, loadDirectLibrary } from '../confluent/direct/direct-library.ts';
import { confluentKafka } from '../confluent/index.ts';
import { readerPlan } from '../confluent/reader-plan.ts';
import type { KafkaCluster } from '../kafka-client.ts';
import type { Logger } from '../logger.ts';

const moved = 'kafka consumer reads a partition through librdkafka from now on';

/** What the log says of partitions that move. */
export interface MovedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly why: string;
}

/** What the direct reader works with where gzip cannot be unpacked: what it moves to librdkafka. */
export async function withoutGzip(): Promise<DirectLibrary> {
  const library = await loadDirectLibrary();
  const { 1: _gzip, ...decompress } = library.codecs.decompress;
  return { ...library, codecs: { ...library.codecs, decompress } };
}

/** The cluster of these brokers, whose direct reader works with this library; `told` gets the partitions that it has moved to librdkafka. */
export function clusterWith(
  list: readonly string[],
  loadLibrary: () => Promise<DirectLibrary>,
  told: MovedPartition[],
  librdkafka: Record<string, string | number> = {},
): KafkaCluster {
  const options = { brokers: list, reader: 'direct' as const, librdkafka };
  const kafka = resolveConfluentKafkaOptions(options);
  const warn = (message: string, fields?: object): void => {
    if (message === moved) told.push(fields as MovedPartition);
  };
  const logger: Logger = { debug() {}, info() {}, warn, error() {} };
  return {
    ...confluentKafka(options),
    consumer: (member) => {
      const properties = consumerProperties(kafka, member);
      return new ConfluentConsumer({
        ...{ brokers: list, properties, token: undefined, isStaticMember: false, logger },
        plan: readerPlan(kafka, properties),
        loadLibrary,
      });
    },
  };
}
