import { describe } from '@jest/globals';
import { ClusterSuite } from './cluster-suite.ts';
import type { ClusterCapabilities, ClusterUnderTest } from './cluster-under-test.ts';
import { describeCommits } from './describe-commits.ts';
import { describeGroup } from './describe-group.ts';
import { describeMessages } from './describe-messages.ts';
import { describeReading } from './describe-reading.ts';
import { describeRefusals } from './describe-refusals.ts';
import { describeTransactions } from './describe-transactions.ts';

/**
 * The contract of `KafkaCluster`, in Jest's terms: one suite for every implementation of the port. It imports Jest, so it is no part
 * of the package's entries.
 */
export function describeKafkaCluster(
  name: string,
  factory: () => Promise<ClusterUnderTest>,
  capabilities: ClusterCapabilities,
): void {
  describe(`Kafka cluster: ${name}`, () => {
    const suite = new ClusterSuite(factory, capabilities);
    describe.each(capabilities.groupProtocols)('group protocol %s', (groupProtocol) => {
      describeReading(suite, groupProtocol);
      describeCommits(suite, groupProtocol);
      describeGroup(suite, groupProtocol);
    });
    const groupProtocol = capabilities.groupProtocols[0] ?? 'classic';
    describeMessages(suite, groupProtocol);
    describeRefusals(suite, groupProtocol);
    describeTransactions(suite, groupProtocol);
  });
}
