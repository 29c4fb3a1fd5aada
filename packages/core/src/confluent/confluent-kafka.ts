import type {
  KafkaAdmin,
  KafkaAdminOptions,
  KafkaCluster,
  KafkaConsumer,
  KafkaConsumerOptions,
  KafkaProducer,
  KafkaProducerOptions,
} from '../kafka-client.ts';
import { ConfluentAdmin } from './admin.ts';
import { type ConfluentKafkaOptions, resolveConfluentKafkaOptions } from './client-options.ts';
import { adminProperties, consumerProperties, producerProperties } from './client-properties.ts';
import { ConfluentConsumer } from './consumer.ts';
import { checkClientOptions, checkMemberOptions } from './kafka-client-options.ts';
import { newNativeProducer } from './native-client.ts';
import { ConfluentProducer } from './producer.ts';

/**
 * A Kafka cluster, through librdkafka (`@confluentinc/kafka-javascript`). Nothing is connected before a worker starts.
 *
 * Surprising: the client works in the main thread only, and a process that ends with `process.exit()` while clients are alive can crash;
 * stop workers first. Requests that wait for a broker hold a thread of libuv's pool (4 by default): with more than a few workers in one
 * process set `UV_THREADPOOL_SIZE` to their number and four more.
 *
 * @throws InvalidOptionError for options that cannot be used, properties that librdkafka does not know included
 * @see https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
 */
export function confluentKafka(options: ConfluentKafkaOptions): KafkaCluster {
  const kafka = resolveConfluentKafkaOptions(options);
  const { brokers, token } = kafka;
  // Clients that are never connected, only to have librdkafka itself look at names and values: as they were given, then as producers get them.
  newNativeProducer({ ...kafka.librdkafka, ...kafka.connection }, {});
  newNativeProducer(producerProperties(kafka), {});
  return {
    kind: 'kafka-cluster',
    brokers,
    consumer: (member: KafkaConsumerOptions): KafkaConsumer => {
      checkMemberOptions(member);
      const properties = consumerProperties(kafka, member);
      const isStaticMember = member.groupInstanceId !== undefined;
      return new ConfluentConsumer({ brokers, properties, token, isStaticMember, logger: member.logger });
    },
    producer: (options: KafkaProducerOptions): KafkaProducer => {
      checkClientOptions(options);
      const { clientId, logger } = options;
      return new ConfluentProducer({ brokers, properties: producerProperties(kafka, clientId), token, logger });
    },
    admin: (options: KafkaAdminOptions): KafkaAdmin => {
      checkClientOptions(options);
      const { clientId, logger } = options;
      return new ConfluentAdmin({ brokers, properties: adminProperties(kafka, clientId), token, logger });
    },
  };
}
