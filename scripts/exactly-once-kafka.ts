// Workers write records from topic to topic under exactlyOnce while processes, transactions and the broker fail. Options: --records N --faults N (of
// most kinds) --seed N, --reader librdkafka|direct, --json, and --break: under atLeastOnce, which has to be noticed. The last line of --json is the verdict. It starts three
// brokers of its own, which it stops and starts one by one; with --one-broker one, which is only stopped in order.

import { runKafkaFaults } from '../bench/exactly-once-kafka/run-kafka-faults.ts';
import { oneBrokerInOrder, threeBrokers } from '../bench/faults/faulted-kafka.ts';
import { faultsCommand, oftenAndSeldom } from './faults-command.ts';

const command = {
  script: 'exactly-once-kafka.ts',
  startKafka: threeBrokers,
  startOneBroker: oneBrokerInOrder,
  canBreak: true,
};

await faultsCommand(command, ({ faults, isBroken, ...given }) => {
  const { often, less, seldom } = oftenAndSeldom(faults);
  return runKafkaFaults({
    ...given,
    delivery: isBroken ? 'atLeastOnce' : 'exactlyOnce',
    minimums: {
      // Brokers end in either way, at once and in order.
      ...{ kills: often, rebalances: often, pauses: less, brokerRestarts: seldom + 1 },
      // There is no transactional id to fence where nothing is transactional.
      ...{ fencings: isBroken ? 0 : often, abortedTransactions: often },
    },
  });
});
