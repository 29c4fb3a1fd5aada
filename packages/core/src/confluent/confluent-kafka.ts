import { InvalidOptionError } from '../errors.ts';
import type {
  KafkaAdmin,
  KafkaAdminOptions,
  KafkaCluster,
  KafkaConsumer,
  KafkaConsumerOptions,
  KafkaProducer,
  KafkaProducerOptions,
} from '../kafka-client.ts';
import type { TransactionalProducer, TransactionalProducerOptions } from '../transactional-producer.ts';
import { ConfluentAdmin } from './admin.ts';
import { type ConfluentKafkaOptions, resolveConfluentKafkaOptions } from './client-options.ts';
import {
  adminProperties,
  consumerProperties,
  producerProperties,
  transactionalProperties,
} from './client-properties.ts';
import { ConfluentConsumer } from './consumer.ts';
import { checkClientOptions, checkMemberOptions, checkTransactionalOptions } from './kafka-client-options.ts';
import { newNativeProducer } from './native-client.ts';
import { ConfluentProducer } from './producer.ts';
import { readerPlan } from './reader-plan.ts';
import { propertyPath } from './reserved-properties.ts';
import { ConfluentTransactionalProducer } from './transactional-producer.ts';

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
  readerPlan(kafka, {});
  const isolation = kafka.librdkafka['isolation.level'] ?? 'read_committed';
  const isolationPath = propertyPath('isolation.level');
  return {
    kind: 'kafka-cluster',
    brokers,
    // The start of a partition is read as stable only so: otherwise what an open transaction is about to commit is missed, and handled again.
    ...(isolation === 'read_committed'
      ? {}
      : {
          transactionRefusal: `${isolationPath} is ${JSON.stringify(isolation)}: leave it out, or set 'read_committed'`,
        }),
    consumer: (member: KafkaConsumerOptions): KafkaConsumer => {
      checkMemberOptions(member);
      const properties = consumerProperties(kafka, member);
      const isStaticMember = member.groupInstanceId !== undefined;
      const { logger, statistics, reading } = member;
      return new ConfluentConsumer({
        brokers,
        properties,
        token,
        isStaticMember,
        plan: readerPlan(kafka, properties),
        logger,
        ...(statistics && { statistics }),
        ...(reading && { reading }),
      });
    },
    producer: (options: KafkaProducerOptions): KafkaProducer => {
      checkClientOptions(options);
      const { clientId, logger, statistics } = options;
      const properties = producerProperties(kafka, clientId);
      return new ConfluentProducer({ brokers, properties, token, logger, ...(statistics && { statistics }) });
    },
    transactionalProducer: (options: TransactionalProducerOptions): TransactionalProducer => {
      checkTransactionalOptions(options);
      if (isolation !== 'read_committed') throw new InvalidOptionError(isolationPath, "'read_committed'", isolation);
      const properties = transactionalProperties(kafka, options);
      const { logger, statistics, tellsEach = true } = options;
      const own = { brokers, properties, token, logger, tellsEach, ...(statistics && { statistics }) };
      return new ConfluentTransactionalProducer(own);
    },
    admin: (options: KafkaAdminOptions): KafkaAdmin => {
      checkClientOptions(options);
      const { clientId, logger } = options;
      return new ConfluentAdmin({ brokers, properties: adminProperties(kafka, clientId), token, logger });
    },
  };
}
