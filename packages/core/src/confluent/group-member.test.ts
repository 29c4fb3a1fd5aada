import { expect, it, jest } from '@jest/globals';
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
    const member = new GroupMember(refusing(isConnected), reader, logger, { changed() {}, failed() {} }, 'classic');
    member.rebalance(-174, []);
    expect(warnings).toEqual(told);
  },
);

it.each(['COOPERATIVE', 'EAGER'])(
  "tells the reader the leader's epoch before a start, and not librdkafka: %s",
  (protocol) => {
    const asked: unknown[] = [];
    const assign = (starts: unknown): void => void asked.push(starts);
    const native = { ...refusing(true), rebalanceProtocol: () => protocol, assign, incrementalAssign: assign };
    const own = (starts: unknown): void => void asked.push(starts);
    const reader = { own, started() {} } as unknown as LibrdkafkaReader;
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const events = { changed() {}, failed() {} };
    const member = new GroupMember(native, reader, logger, events, 'classic');
    const place = { topic: 't', partition: 1 };
    member.rebalance(-175, [place]);
    const start = { ...place, offset: 7, leaderEpoch: 4 };
    member.assign([start]);
    expect(asked).toEqual([[start], [{ ...place, offset: 7 }]]);
  },
);

it.each([
  ['consumer', true],
  ['classic', false],
])('a member of a %s group that has heard nothing for a while counts as taken in: %s', (groupProtocol, isTakenIn) => {
  jest.useFakeTimers();
  try {
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const reader = { disown() {} } as unknown as LibrdkafkaReader;
    const events = { changed() {}, failed() {} };
    const native = { ...refusing(true), incrementalAssign() {} } as unknown as NativeConsumer;
    const member = new GroupMember(native, reader, logger, events, groupProtocol);
    jest.advanceTimersByTime(60_000);
    member.subscribed();
    jest.advanceTimersByTime(4_000);
    expect(member.isMember).toBe(false);
    jest.advanceTimersByTime(56_000);
    expect(member.isMember).toBe(isTakenIn);
    // As others learn that there is nothing for them.
    member.rebalance(-175, []);
    expect(member.isMember).toBe(true);
  } finally {
    jest.useRealTimers();
  }
});
