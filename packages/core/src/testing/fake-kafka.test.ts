import { systemClock } from '../clock.ts';
import type { OutgoingRecord } from '../record.ts';
import { describeKafkaCluster } from './describe-kafka-cluster.ts';
import { fakeKafka } from './fake-kafka.ts';
import { VirtualClock } from './virtual-clock.ts';

describeKafkaCluster(
  'fake',
  async () => {
    // The suite waits in real time; only the records' timestamps are virtual.
    const clock = new VirtualClock({ startMs: Date.now() });
    const unreachable = fakeKafka();
    unreachable.outage();
    const cluster = fakeKafka({ clock });
    const sendInTransaction = async (messages: readonly OutgoingRecord[]): Promise<void> => {
      const sent = cluster.send(messages);
      for (const partition of new Set(sent.map((record) => record.partition))) {
        cluster.appendGap({ topic: sent[0]?.topic ?? '', partition }, 1);
      }
    };
    return { cluster, unreachable, clock: systemClock, sendInTransaction, dispose: async () => {} };
  },
  {
    groupProtocols: ['classic', 'consumer'],
    keepsLeaderEpochs: true,
    findsDates: true,
    rebalances: 'cooperative',
    readsOnWhileRevoking: true,
    limitsMessageSize: false,
    writesControlRecords: true,
    transactions: true,
    readsNullHeaders: true,
  },
);
