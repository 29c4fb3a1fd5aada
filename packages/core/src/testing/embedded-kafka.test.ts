import { systemClock } from '../clock.ts';
import { confluentKafka } from '../confluent/index.ts';
import { describeKafkaCluster } from './describe-kafka-cluster.ts';
import { embeddedKafka } from './embedded-kafka.ts';

describeKafkaCluster(
  'embedded',
  async () => {
    const cluster = await embeddedKafka();
    return {
      cluster,
      unreachable: confluentKafka({ brokers: ['127.0.0.1:1'] }),
      clock: systemClock,
      dispose: () => cluster[Symbol.asyncDispose](),
    };
  },
  {
    groupProtocols: ['classic', 'consumer'],
    keepsLeaderEpochs: false,
    findsDates: false,
    rebalances: 'cooperative',
    limitsMessageSize: true,
    keepsStaticMembers: false,
    writesControlRecords: false,
    transactions: false,
    readsNullHeaders: false,
  },
);
