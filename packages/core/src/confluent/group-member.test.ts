import { expect, it } from '@jest/globals';
import { GroupMember } from './group-member.ts';
import type { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { NativeConsumer } from './native-client.ts';

/** A client that takes nothing back any more. */
function refusing(isConnected: boolean): NativeConsumer {
  const refuse = (): never => {
    throw new Error('no');
  };
  const native = {
    ...{ isConnected: () => isConnected, assignmentLost: () => false, rebalanceProtocol: () => 'COOPERATIVE' },
    ...{ assignments: () => [], incrementalUnassign: refuse, unassign: refuse },
  };
  return native as unknown as NativeConsumer;
}

it.each([
  [true, ['kafka client could not give partitions back']],
  [false, []],
])(
  'partitions that a client (connected: %s) does not take back are told only while it has them',
  (isConnected, told) => {
    const warnings: string[] = [];
    const logger = { debug() {}, info() {}, warn: (message: string) => void warnings.push(message), error() {} };
    const reader = { disown() {} } as unknown as LibrdkafkaReader;
    const member = new GroupMember(refusing(isConnected), reader, logger, { changed() {}, failed() {} });
    member.rebalance(-174, []);
    expect(warnings).toEqual(told);
  },
);
