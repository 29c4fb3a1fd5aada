import type { KeptSend } from '@kafka-worker/core';
import { KeptSends } from '../../../../../core/src/kept-sends.ts';
import { Outcomes } from '../../../../../core/src/outcomes.ts';
import type { OwnedPartition } from '../../../../../core/src/owned-partition.ts';
import { patchMethod } from '../patch-method.ts';

/** Everything that is finished is written with the next commit of its partition. */
export function writingEarly(): () => void {
  const finished = new WeakMap<OwnedPartition, KeptSend[]>();
  const restoreSettled = patchMethod(
    KeptSends.prototype,
    'settled',
    (settled) =>
      function (this: KeptSends, call, item, outcome) {
        settled.call(this, call, item, outcome);
        const { offset } = item.received;
        const sends = (call.sendsOf(item) ?? []).map((message) => ({ offset, message }));
        finished.set(item.owner, [...(finished.get(item.owner) ?? []), ...sends]);
      },
  );
  const restoreProgress = patchMethod(
    KeptSends.prototype,
    'progressOf',
    (progressOf) =>
      function (this: KeptSends, partitions) {
        return progressOf.call(this, partitions).map((one) => {
          const owner = partitions.find(({ topic, partition }) => topic === one.topic && partition === one.partition);
          const above = (owner && finished.get(owner))?.filter(({ offset }) => offset >= one.offset) ?? [];
          return { ...one, sends: [...(one.sends ?? []), ...above] };
        });
      },
  );
  return () => {
    restoreProgress();
    restoreSettled();
  };
}

/** What was finished when its partition had gone is written with the next commit of another one. */
export function writingLate(): () => void {
  const keepers = new WeakMap<OwnedPartition, KeptSends>();
  const late = new WeakMap<KeptSends, KeptSend[]>();
  const restoreReturned = patchMethod(
    Outcomes.prototype,
    'returned',
    (returned) =>
      function (this: Outcomes, call) {
        const keeper = keepers.get(call.owner);
        const messages = call.owner.phase === 'ended' ? (call.sendsOf(call) ?? []) : [];
        const sends = messages.map((message) => ({ offset: call.received.offset, message }));
        if (keeper !== undefined) late.set(keeper, [...(late.get(keeper) ?? []), ...sends]);
        returned.call(this, call);
      },
  );
  const restoreProgress = patchMethod(
    KeptSends.prototype,
    'progressOf',
    (progressOf) =>
      function (this: KeptSends, partitions) {
        for (const owner of partitions) keepers.set(owner, this);
        const [first, ...rest] = progressOf.call(this, partitions);
        const sends = [...(first?.sends ?? []), ...(late.get(this) ?? [])];
        return first === undefined ? [] : [{ ...first, sends }, ...rest];
      },
  );
  return () => {
    restoreProgress();
    restoreReturned();
  };
}
