import type { KeptSend, PartitionProgress, TransactionalProducer } from '@kafka-worker/core';
import { HandlerCall } from '../../../../../core/src/handler-call.ts';
import { FakeGroup } from '../../../../../core/src/testing/fake-kafka-group.ts';
import { FakeTransactionalProducer } from '../../../../../core/src/testing/fake-kafka-transactional-producer.ts';
import { FakeTransactions } from '../../../../../core/src/testing/fake-kafka-transactions.ts';
import { TransactionAttempt } from '../../../delivery/transaction-attempt.ts';
import { TransactionalSession } from '../../../delivery/transactional-session.ts';
import { patchMethod } from '../patch-method.ts';
import { writingEarly, writingLate } from './misplaced-sends.ts';
import type { Mutation } from './mutation.ts';

/** What would go wrong if transactions did not contain what they have to, or the broker fenced nobody. */
export const transactionMutations: readonly Mutation[] = [
  {
    name: 'commits offsets outside of the transaction',
    breaks: 'atomic',
    tampering: {
      producer: (producer) => replacing(producer, { sendOffsets: (offsets, consumer) => consumer.commit(offsets) }),
    },
  },
  {
    name: 'takes a transaction that was dropped for a committed one',
    breaks: 'once',
    install: () => patchMethod(TransactionAttempt.prototype, 'run', takingFor('dropped', { outcome: 'committed' })),
  },
  {
    name: 'repeats a transaction although nobody knows whether it was committed',
    breaks: 'transaction-content',
    install: () =>
      patchMethod(
        TransactionAttempt.prototype,
        'run',
        takingFor('unknown', { outcome: 'dropped', error: new Error('unknown'), unwritable: [], isProducerGone: true }),
      ),
  },
  {
    name: 'takes a transaction for committed although nobody knows',
    breaks: 'transaction-content',
    install: () => patchMethod(TransactionAttempt.prototype, 'run', takingFor('unknown', { outcome: 'committed' })),
  },
  {
    name: 'keeps what an attempt has sent that failed',
    breaks: 'transaction-content',
    install: () => {
      return patchMethod(
        HandlerCall.prototype,
        'begin',
        (begin) =>
          function (this: HandlerCall, ...args) {
            const sends = (this.items ?? [this]).map((item) => [item, this.sendsOf(item) ?? []] as const);
            begin.apply(this, args);
            for (const [item, messages] of sends) for (const message of messages) this.keepSend(item, message);
          },
      );
    },
  },
  {
    name: 'writes what lies above the frontier',
    breaks: 'transaction-content',
    install: writingEarly,
  },
  {
    name: 'drops what was kept when a transaction is aborted',
    breaks: 'transaction-content',
    install: () => {
      const dropped = new WeakSet<KeptSend>();
      return patchMethod(
        TransactionalSession.prototype,
        'commit',
        (commit) =>
          function (this: TransactionalSession, { partitions }) {
            const left = withSends(partitions, (sends) => sends.filter((send) => !dropped.has(send)));
            return commit.call(this, { partitions: left }).catch((error: unknown) => {
              for (const { sends = [] } of left) for (const send of sends) dropped.add(send);
              throw error;
            });
          },
      );
    },
  },
  {
    name: 'has a client that does not keep the order of what it is given',
    breaks: 'output-order',
    install: () => {
      let count = 0;
      return patchMethod(
        FakeTransactionalProducer.prototype,
        'send',
        (send) =>
          function (this: FakeTransactionalProducer, message) {
            // Every second one a moment later.
            return count++ % 2 === 0
              ? Promise.resolve().then(() => send.call(this, message))
              : send.call(this, message);
          },
      );
    },
  },
  {
    name: 'has a client that does not keep the order of what it is given together',
    breaks: 'output-order',
    install: () =>
      patchMethod(
        FakeTransactionalProducer.prototype,
        'sendAll',
        (sendAll) =>
          function (this: FakeTransactionalProducer, messages, timeoutMs) {
            return sendAll.call(this, [...messages].reverse(), timeoutMs);
          },
      ),
  },
  {
    name: 'writes what a call of a former assignment has sent',
    breaks: 'late-owner',
    install: writingLate,
  },
  {
    name: 'commits to a group that takes offsets from whoever comes',
    breaks: 'fenced',
    install: () =>
      patchMethod(
        FakeGroup.prototype,
        'addToTransaction',
        (addToTransaction) =>
          function (this: FakeGroup, transaction, member, offsets, generation) {
            const refused = addToTransaction.call(this, transaction, member, offsets, generation);
            if (refused.length === 0) return refused;
            // As the owner itself would.
            for (const next of offsets) {
              const owner = this.owner(next) ?? member;
              addToTransaction.call(this, transaction, owner, [next], owner.generation);
            }
            return [];
          },
      ),
  },
  {
    name: 'writes to brokers that let a producer go on whose id somebody else has',
    breaks: 'atomic',
    install: () => {
      const newest = new WeakMap<FakeTransactions, Map<string, number>>();
      const epochOf = (of: FakeTransactions, id: string, epoch: number): number => newest.get(of)?.get(id) ?? epoch;
      const restore = [
        patchMethod(
          FakeTransactions.prototype,
          'init',
          (init) =>
            function (this: FakeTransactions, id) {
              const epoch = init.call(this, id);
              const epochs = newest.get(this) ?? new Map<string, number>();
              newest.set(this, epochs.set(id, epoch));
              return epoch;
            },
        ),
        patchMethod(
          FakeTransactions.prototype,
          'writing',
          (writing) =>
            function (this: FakeTransactions, id, epoch, timeoutMs) {
              return writing.call(this, id, epochOf(this, id, epoch), timeoutMs);
            },
        ),
        patchMethod(
          FakeTransactions.prototype,
          'end',
          (end) =>
            function (this: FakeTransactions, id, epoch, how) {
              end.call(this, id, epochOf(this, id, epoch), how);
            },
        ),
      ];
      return () => {
        for (const one of restore) one();
      };
    },
  },
];

type Run = TransactionAttempt['run'];
type End = Awaited<ReturnType<Run>>;

/** An end of a transaction that is taken for another one. */
function takingFor(outcome: End['outcome'], other: End): (run: Run) => Run {
  return (run) =>
    async function (this: TransactionAttempt, ...args) {
      const end = await run.apply(this, args);
      return end.outcome === outcome ? other : end;
    };
}

function withSends(
  partitions: readonly PartitionProgress[],
  change: (sends: readonly KeptSend[]) => readonly KeptSend[],
): PartitionProgress[] {
  return partitions.map((one) => ({ ...one, sends: change(one.sends ?? []) }));
}

/** The same producer, of which some methods do something else. */
function replacing(producer: TransactionalProducer, replaced: Partial<TransactionalProducer>): TransactionalProducer {
  return new Proxy(producer, {
    get: (target, name): unknown => {
      const member: unknown = Reflect.get(name in replaced ? replaced : target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}
