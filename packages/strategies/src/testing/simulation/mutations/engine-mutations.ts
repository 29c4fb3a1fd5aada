import { Assignment } from '../../../../../core/src/assignment.ts';
import { Committer } from '../../../../../core/src/committer.ts';
import { Departures } from '../../../../../core/src/departures.ts';
import { HandlerCall } from '../../../../../core/src/handler-call.ts';
import { Lane } from '../../../../../core/src/lane.ts';
import { Outcomes } from '../../../../../core/src/outcomes.ts';
import { OwnedPartition } from '../../../../../core/src/owned-partition.ts';
import { ProgressWatch } from '../../../../../core/src/progress-watch.ts';
import { Retries } from '../../../../../core/src/retries.ts';
import { WindDown } from '../../../../../core/src/wind-down.ts';
import { WorkerRun } from '../../../../../core/src/worker-run.ts';
import { patchMethod } from '../patch-method.ts';
import type { Mutation } from './mutation.ts';

/** What would go wrong if one of the worker's rooms did not do its part. */
export const engineMutations: readonly Mutation[] = [
  {
    name: 'commits one past the frontier',
    breaks: 'commit',
    install: () =>
      patchMethod(
        OwnedPartition.prototype,
        'progress',
        (progress) =>
          function (this: OwnedPartition) {
            const next = progress.call(this);
            return next === undefined ? undefined : { ...next, offset: next.offset + 1 };
          },
      ),
  },
  {
    name: 'commits nothing before it releases a partition, or ends',
    breaks: 'duplicates',
    install: () => patchMethod(Committer.prototype, 'commitBefore', () => () => Promise.resolve(undefined)),
  },
  {
    name: 'releases a partition while its handlers run',
    breaks: 'one-owner',
    install: () => patchMethod(OwnedPartition.prototype, 'whenIdle', () => () => Promise.resolve()),
  },
  {
    name: 'releases the partition of a handler that ignores its signal',
    breaks: 'one-owner',
    install: () => patchMethod(WindDown.prototype, 'unreturned', () => () => []),
  },
  {
    name: 'starts records of a partition that is being revoked',
    breaks: 'one-owner',
    install: () => patchMethod(Departures.prototype, 'leave', () => () => {}),
  },
  {
    name: 'gives a partition back without finishing what was overtaken',
    breaks: 'duplicates',
    install: () =>
      patchMethod(
        Departures.prototype,
        'finishGaps',
        (finishGaps) =>
          function (this: Departures, partitions) {
            const left = finishGaps.call(this, partitions);
            this.leaveGaps(partitions);
            return left;
          },
      ),
  },
  {
    name: 'goes on behind a record that fails while it closes a gap',
    breaks: 'order',
    install: () => patchMethod(OwnedPartition.prototype, 'leaveOpen', () => () => {}),
  },
  {
    name: 'starts records of a partition that is lost',
    breaks: 'one-owner',
    install: () => patchMethod(Departures.prototype, 'end', () => () => {}),
  },
  {
    name: 'commits for a partition that is lost',
    breaks: 'commit',
    // It starts nothing of it, but it does not let it go either.
    install: () =>
      patchMethod(
        Departures.prototype,
        'end',
        () =>
          function (this: Departures, partitions) {
            this.leave(partitions);
          },
      ),
  },
  {
    name: 'lets a late result of a former assignment finish the record in this one',
    breaks: 'commit',
    install: ignoringEpochs,
  },
  {
    name: 'goes on with what it knew of a partition when it had it before',
    breaks: 'no-loss',
    install: () => {
      const former = new WeakMap<Assignment, Map<number, OwnedPartition>>();
      return patchMethod(
        Assignment.prototype,
        'begin',
        (begin) =>
          function (this: Assignment, start, committedOffset) {
            const epochs = former.get(this) ?? new Map<number, OwnedPartition>();
            former.set(this, epochs);
            const owned = begin.call(this, start, committedOffset);
            const before = epochs.get(start.partition);
            if (before !== undefined) Object.assign(owned, { ledger: before.ledger });
            epochs.set(start.partition, owned);
            return owned;
          },
      );
    },
  },
  {
    name: 'lets later records overtake one that waits for its retry',
    breaks: 'order',
    install: () => patchMethod(Lane.prototype, 'isBlocked', () => () => false),
  },
  {
    name: 'forgets a record that waits for its retry',
    breaks: 'no-loss',
    install: () => patchMethod(Retries.prototype, 'add', () => () => {}),
  },
  {
    name: 'asks the failure policy about a handler that it has interrupted',
    breaks: 'no-loss',
    install: () =>
      patchMethod(
        HandlerCall.prototype,
        'abort',
        (abort) =>
          function (this: HandlerCall, reason) {
            abort.call(this, reason);
            this.isTakenAway = false;
          },
      ),
  },
  {
    name: 'waits without a bound for handlers when it stops',
    breaks: 'stop-ends',
    install: () =>
      patchMethod(
        WorkerRun.prototype,
        'end',
        (end) =>
          async function (this: WorkerRun, options) {
            this.engine?.stopIntake();
            this.engine?.dispatcher.pause();
            await this.engine?.windDown.whenQuiet();
            return end.call(this, options);
          },
      ),
  },
  {
    name: 'leaves a timer running when it has stopped',
    breaks: 'stop-ends',
    install: () => patchMethod(ProgressWatch.prototype, 'close', () => () => {}),
  },
];

/** A call's result counts for whichever assignment its partition has by now. */
function ignoringEpochs(): () => void {
  const successors = new WeakMap<OwnedPartition, OwnedPartition>();
  const restoreBegin = patchMethod(
    Assignment.prototype,
    'begin',
    (begin) =>
      function (this: Assignment, start, committedOffset) {
        const owned = begin.call(this, start, committedOffset);
        const before = formerOf.get(this)?.get(start.partition);
        if (before !== undefined) successors.set(before, owned);
        const former = formerOf.get(this) ?? new Map<number, OwnedPartition>();
        formerOf.set(this, former.set(start.partition, owned));
        return owned;
      },
  );
  const formerOf = new WeakMap<Assignment, Map<number, OwnedPartition>>();
  const restoreReturned = patchMethod(
    Outcomes.prototype,
    'returned',
    (returned) =>
      function (this: Outcomes, call) {
        const now = call.items === undefined ? successors.get(call.owner) : undefined;
        if (now?.ledger.isOpen(call.received.offset) === true) Object.assign(call, { owner: now });
        returned.call(this, call);
      },
  );
  return () => {
    restoreReturned();
    restoreBegin();
  };
}
