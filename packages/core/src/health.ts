import type { Engine } from './engine.ts';
import type { WorkerState } from './lifecycle.ts';
import type { WorkerHealth } from './worker-status.ts';

/** A worker's health, with reasons. `ready` is: it is subscribed and polls, and is not draining. */
export function healthOf(state: WorkerState, engine: Engine | undefined, now: number): WorkerHealth {
  const reasons: string[] = [];
  if (state === 'idle') reasons.push('not started');
  if (state === 'starting') reasons.push('connecting to Kafka');
  if (state === 'draining') reasons.push('stopping: running handlers end, what is finished is committed');
  if (state === 'stopped') reasons.push('stopped');
  if (state === 'failed') reasons.push('ended because of an error');
  const owned = engine === undefined ? [] : [...engine.assignment];
  if (engine !== undefined && state === 'running') {
    if (engine.rebalances.isUnderWay) reasons.push('a rebalance is in progress');
    else if (owned.length === 0) reasons.push('no partition is assigned to this member');
    for (const { topic, partition, heldBackFor, ledger } of owned) {
      const { aheadCount, openCount, nextOffset } = ledger;
      if (heldBackFor.has('ahead')) {
        reasons.push(
          `${topic}/${partition} takes no more records: ${aheadCount} lie above unfinished offset ${nextOffset}`,
        );
      }
      if (heldBackFor.has('share')) {
        reasons.push(
          `${topic}/${partition} takes no more records: it is stuck at offset ${nextOffset} with ${openCount} in flight`,
        );
      }
    }
    for (const { owner } of engine.dispatcher.running()) {
      if (owner.phase === 'ended') {
        reasons.push(`${owner.topic}/${owner.partition}: a handler from before it was taken away still runs`);
      }
    }
    for (const { call, dueAt } of engine.outcomes.parked()) {
      const { topic, partition, offset } = call.received;
      const waitMs = Math.max(0, Math.round(dueAt - now));
      reasons.push(`${topic}/${partition}: offset ${offset} waits ${waitMs} ms for attempt ${call.attempt}`);
    }
    if (engine.committer.failures > 0) reasons.push(`the last ${engine.committer.failures} commits failed`);
  }
  return { live: state !== 'failed', ready: state === 'running', reasons };
}
