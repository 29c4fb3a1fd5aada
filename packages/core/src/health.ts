import { blocker, openCalls } from './blocker.ts';
import type { Engine } from './engine.ts';
import type { HandlerCall } from './handler-call.ts';
import { toError } from './kafka-worker-error.ts';
import type { WorkerState } from './lifecycle.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { reasonsOfAKind } from './reasons-of-a-kind.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import { seconds, stallsOf } from './stalls.ts';
import type { PartitionStatus, WorkerHealth } from './worker-status.ts';

/** A message that is not acknowledged for so long is worth a word. */
const UNACKNOWLEDGED_MS = 5_000;
/** So is a partition that stands still for so long. */
const STILL_MS = 10_000;

/** A worker's health, with reasons. `ready` is: the group has taken it in, it polls, and is not draining. */
export function healthOf(
  state: WorkerState,
  engine: Engine | undefined,
  options: ResolvedWorkerOptions,
  now: number,
): WorkerHealth {
  const reasons: string[] = [];
  let isLive = state !== 'failed';
  if (state === 'idle') reasons.push('not started');
  if (state === 'starting') reasons.push('connecting to Kafka');
  if (state === 'draining') reasons.push('stopping: running handlers end, what is finished is committed');
  if (state === 'stopped') reasons.push('stopped');
  if (state === 'failed') reasons.push('ended because of an error');
  const owned = engine === undefined ? [] : [...engine.assignment];
  if (engine !== undefined && state === 'running') {
    if (!engine.isMember) reasons.push('joining the group');
    else if (engine.rebalances.isUnderWay) reasons.push(rebalanceReason(engine, now));
    else if (owned.length === 0) reasons.push('no partition is assigned to this member');
    const stalls = stallsOf(engine, options, now);
    if (stalls.length > 0) isLive = false;
    reasons.push(...stalls);
    for (const one of owned) reasons.push(...intakeReasons(one, engine));
    const keptBytes = engine.keptBytes();
    if (keptBytes > 0)
      reasons.push(`nothing is polled: ${keptBytes} bytes that handlers have sent wait to be committed`);
    for (const { topic, partition, reason, since, lastError } of engine.restarts.underWay()) {
      const why = lastError === undefined ? reason.message : `${reason.message}; then: ${lastError.message}`;
      reasons.push(`${topic}/${partition} has been starting again for ${seconds(now - since)}: ${why}`);
    }
    reasons.push(...frontierReasons(engine, options.onFailure.maxAttempts, now), ...readingReasons(engine, now));
    reasons.push(...handlerReasons(engine, now), ...failureReasons(engine, now));
    reasons.push(...commitReasons(engine, now));
  }
  return { live: isLive, ready: state === 'running' && engine?.isMember === true, reasons };
}

function rebalanceReason({ rebalances: { waiting } }: Engine, now: number): string {
  if (waiting === undefined) return 'a rebalance is in progress';
  return `a rebalance is in progress: an assignment has been waiting for ${seconds(now - waiting.since)}: ${waiting.error.message}`;
}

function intakeReasons(owner: OwnedPartition, engine: Engine): string[] {
  const { topic, partition, heldBackFor, ledger } = owner;
  const { aheadCount, openCount, nextOffset } = ledger;
  const name = `${topic}/${partition}`;
  const reasons: string[] = [];
  if (heldBackFor.has('paused')) reasons.push(`${name} is paused`);
  if (heldBackFor.has('ahead'))
    reasons.push(`${name} takes no more records: ${aheadCount} lie above unfinished offset ${nextOffset}`);
  if (heldBackFor.has('share'))
    reasons.push(`${name} takes no more records: it is stuck at offset ${nextOffset} with ${openCount} in flight`);
  if (heldBackFor.has('kept')) {
    const waits = openCount === 0 ? 'to be committed' : `for unfinished offset ${nextOffset}`;
    const bytes = engine.keptBytes(owner);
    reasons.push(`${name} takes no more records: ${bytes} bytes that its handlers have sent wait ${waits}`);
  }
  return reasons;
}

/** Partitions whose frontier stands still, and what it waits for. */
function frontierReasons(engine: Engine, maxAttempts: number | undefined, now: number): string[] {
  const reasons: string[] = [];
  let calls: HandlerCall[] | undefined;
  for (const owner of engine.assignment) {
    const { topic, partition, ledger, isSuspended, runningCalls } = owner;
    const stillMs = now - (engine.progress.of(owner)?.frontierSince ?? now);
    if (stillMs < STILL_MS || ledger.openCount === 0 || isSuspended) continue;
    calls ??= openCalls(engine);
    const still = `${topic}/${partition} has not moved for ${seconds(stillMs)}: offset ${ledger.nextOffset}`;
    const by = blocker(owner, calls, now);
    if (by !== undefined) {
      const key = by.key === null ? '' : ` (key '${by.key}')`;
      const attempt = `in attempt ${by.attempt}${maxAttempts === undefined ? '' : ` of ${maxAttempts}`}`;
      const is = isFrozen(engine, by) ? 'frozen' : attempt;
      const isOther = by.topic !== topic || by.partition !== partition || by.offset !== ledger.nextOffset;
      const other = isOther ? ` waits behind ${by.topic}/${by.partition} offset ${by.offset}, which` : '';
      reasons.push(`${still}${other}${key} is ${is}`);
    } else if (runningCalls > 0) reasons.push(`${still} waits in its lane`);
    else reasons.push(`${still} waits for a concurrency slot, or for its turn`);
  }
  return reasons;
}

/** Then its next attempt waits for somebody to say so, and may be none that the policy would have allowed. */
function isFrozen({ outcomes }: Engine, by: NonNullable<PartitionStatus['blockedBy']>): boolean {
  for (const { call } of outcomes.freezer.frozen())
    for (const { received } of call.items ?? [call])
      if (received.topic === by.topic && received.partition === by.partition && received.offset === by.offset)
        return true;
  return false;
}

function readingReasons(engine: Engine, now: number): string[] {
  const reasons: string[] = [];
  for (const owner of engine.assignment) {
    const { topic, partition } = owner;
    const refusedSince = engine.refusedSince(owner);
    if (refusedSince !== undefined) {
      const since = seconds(now - refusedSince);
      reasons.push(`${topic}/${partition}: what is polled could not be committed for ${since}, and so is not handled`);
    }
    const unanswered = engine.progress.of(owner)?.unanswered;
    if (unanswered !== undefined)
      reasons.push(`${topic}/${partition}: no broker says whether there is more to read: ${unanswered}`);
  }
  return reasons;
}

function handlerReasons({ dispatcher, deadlines }: Engine, now: number): string[] {
  const takenAway = [...dispatcher.running()].filter(({ owner }) => owner.phase === 'ended');
  return [
    ...reasonsOfAKind(
      takenAway,
      ({ owner }) => `${owner.topic}/${owner.partition}: a handler from before it was taken away still runs`,
      'handlers from before their partitions were taken away still run',
    ),
    ...reasonsOfAKind(
      deadlines.overdue(),
      ([call, since]) =>
        `${placeOf(call)}: its time is up, but its handler has not returned for ${seconds(now - since)}`,
      'handlers have not returned though their time is up',
    ),
  ];
}

function failureReasons(engine: Engine, now: number): string[] {
  const { retries, deadLetters, freezer } = engine.outcomes;
  const inMs = (dueAt: number): string => `${Math.max(0, Math.round(dueAt - now))} ms`;
  const isTold = ({ lastError, since }: { readonly lastError: unknown; readonly since: number }): boolean =>
    lastError !== undefined || now - since >= UNACKNOWLEDGED_MS;
  return [
    ...reasonsOfAKind(
      engine.undelivered(),
      ({ item, to, isDeadLetter, error, dueAt }) => {
        const what = isDeadLetter ? 'its dead letter' : 'what its handler has sent';
        return `${placeOf({ first: item })}: ${what} could not be written to ${to}, again in ${inMs(dueAt)}: ${error.message}`;
      },
      'records have sent what could not be written',
    ),
    ...reasonsOfAKind(
      retries.waiting(),
      ({ call, dueAt, undoneBy }) => {
        const waits = `${placeOf(call)} waits ${inMs(dueAt)}`;
        if (undoneBy === undefined) return `${waits} for attempt ${call.attempt}`;
        return `${waits} to be called again, for it was undone ${call.undoneCount} times: ${undoneBy.message}`;
      },
      'handler calls wait to be made again',
    ),
    ...reasonsOfAKind(
      [...deadLetters.pending()].filter(isTold),
      ({ call, item, message, since, lastError }) => {
        const what = `its dead letter could not be written to ${message.topic} for ${seconds(now - since)}`;
        const why = lastError === undefined ? 'not acknowledged yet' : lastError.message;
        return `${placeOf({ first: item })}: ${what} (attempt ${call.attempt} had failed): ${why}`;
      },
      'dead letters could not be written',
    ),
    ...reasonsOfAKind(
      freezer.frozen(),
      ({ scope, owner, item, key, since, error }) => {
        const what = scope === 'partition' ? '' : `, key ${key === null ? 'null' : `'${key}'`},`;
        const where = `${owner.topic}/${owner.partition}${what} has been frozen at offset ${item.received.offset}`;
        return `${where} for ${seconds(now - since)}: ${toError(error).message}`;
      },
      'are frozen',
    ),
  ];
}

function commitReasons({ committer }: Engine, now: number): string[] {
  const reasons: string[] = [];
  if (committer.failures > 0) reasons.push(`the last ${committer.failures} commits failed`);
  const waitsMs = now - (committer.underWaySince ?? now);
  if (waitsMs >= UNACKNOWLEDGED_MS)
    reasons.push(`a commit has not been acknowledged for ${seconds(waitsMs)}: what was finished since waits for it`);
  return reasons;
}

function placeOf({ first }: Pick<HandlerCall, 'first'>): string {
  const { topic, partition, offset } = first.received;
  return `${topic}/${partition}: offset ${offset}`;
}
