import type { CallContext } from './call-context.ts';
import { IllegalStateError } from './errors.ts';
import type { Lane } from './lane.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { KafkaRecord, OutgoingRecord, ReceivedRecord } from './record.ts';

/** One record of a call: as it was received, as the user sees it, and whose it is. */
export interface CallItem {
  readonly received: ReceivedRecord;
  readonly owner: OwnedPartition;
  readonly record: KafkaRecord<unknown, unknown>;
}

/**
 * One call of the user's handler, through all its attempts: with one record (`first`), or with the batch that `items` lists.
 * Running (its `context` is open), waiting for what it sent, or parked for its next attempt.
 */
export class HandlerCall implements CallItem {
  /** Where it runs, or waits; another one of the same name when it was taken out and comes back. */
  lane: Lane<HandlerCall>;
  readonly received: ReceivedRecord;
  readonly owner: OwnedPartition;
  readonly record: KafkaRecord<unknown, unknown>;
  /** The records of a batch handler's call, the first one included; undefined for a handler of single records. */
  items: readonly CallItem[] | undefined;
  /** Its only record was taken away. */
  isDropped = false;
  attempt = 1;
  /** How often this attempt was undone for a reason of the delivery's own. */
  undoneCount = 0;
  /** When the attempt started, in milliseconds since the epoch; not measured for a handler that returns at once unless somebody listens. */
  startedAt = 0;
  firstFailedAt: number | undefined;
  lastFailedAt: number | undefined;
  /** Open while the handler runs. */
  context: CallContext | undefined;
  /** Messages sent and not acknowledged. */
  pendingSends = 0;
  /** What this attempt has sent, where that is kept until its records are committed: of its only record, or of each. */
  #ownSends: OutgoingRecord[] | undefined;
  #sends: Map<CallItem, OutgoingRecord[]> | undefined;
  /** The first thing that went wrong in this attempt: what the handler threw, or a failed send. */
  failure: { readonly error: unknown } | undefined;
  /** No lane could be found for its record: it fails before the handler is called. */
  laneError: Error | undefined;
  /** Records of a batch that failed alone. */
  failedItems: Map<CallItem, unknown> | undefined;
  /** Its records are wanted elsewhere: what it does not finish is no failure. */
  isTakenAway = false;
  /** Its handler is done, though what is wrapped around it is not: nothing is sent any more, and nothing fails. */
  hasReturned = false;
  /** Its time was up. */
  timeout: Error | undefined;
  #controller: AbortController | undefined;
  #abortReason: Error | undefined;

  constructor(
    lane: Lane<HandlerCall>,
    received: ReceivedRecord,
    owner: OwnedPartition,
    record: KafkaRecord<unknown, unknown>,
    items: readonly CallItem[] | undefined,
  ) {
    this.lane = lane;
    this.received = received;
    this.owner = owner;
    this.record = record;
    this.items = items;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** Keeps a message with one of its records, until that is finished. */
  keepSend(item: CallItem, message: OutgoingRecord): void {
    if (item === this) {
      // An array alone where there is one record: this is done for each.
      this.#ownSends ??= [];
      this.#ownSends.push(message);
      return;
    }
    this.#sends ??= new Map();
    const sends = this.#sends.get(item);
    if (sends === undefined) this.#sends.set(item, [message]);
    else sends.push(message);
  }

  /** What one of its records has sent in this attempt, where that is kept. */
  sendsOf(item: CallItem): readonly OutgoingRecord[] | undefined {
    return item === this ? this.#ownSends : this.#sends?.get(item);
  }

  /** The handler is asked to return: its records are taken away. */
  abort(reason: Error): void {
    this.isTakenAway = true;
    this.#abort(reason);
  }

  /** The handler is asked to return: its time is up, and the attempt has failed, whatever it still does. */
  timeOut(reason: Error): void {
    this.timeout = reason;
    this.#abort(reason);
  }

  get abortReason(): Error | undefined {
    return this.#abortReason;
  }

  #abort(reason: Error): void {
    this.#abortReason ??= reason;
    this.#controller?.abort(reason);
  }

  /** Takes records out whose partitions have gone as far as `phase`. They were started, and stay unfinished. */
  withdraw(phase: 'leaving' | 'ended'): void {
    this.#takeOut(({ owner, received }) => {
      const isGone = owner.phase === 'ended' || owner.phase === phase;
      if (isGone) owner.leaveOpen(received.offset);
      return isGone;
    });
  }

  /** Takes records out that were queued and must not be started any more. */
  withdrawQueued(): void {
    this.#takeOut(({ owner, received }) => owner.phase === 'ended' || received.offset >= owner.startsBelow);
  }

  #takeOut(isGone: (item: CallItem) => boolean): void {
    if (this.items === undefined) this.isDropped ||= isGone(this);
    else this.items = this.items.filter((item) => !isGone(item));
  }

  /** Whether nothing is left of it. */
  get isEmpty(): boolean {
    return this.items === undefined ? this.isDropped : this.items.length === 0;
  }

  /** Whose records it has. */
  owners(): readonly OwnedPartition[] {
    return this.items === undefined ? [this.owner] : [...new Set(this.items.map((item) => item.owner))];
  }

  /** The record that stands for the call: the only one, or the first one left of a batch. */
  get first(): CallItem {
    return this.items?.[0] ?? this;
  }

  /** Takes some of its records out, into a call of their own that has failed as often. */
  split(items: readonly CallItem[]): HandlerCall {
    const [first] = items;
    if (first === undefined) throw new IllegalStateError('a call without a record');
    const own = this.items === undefined ? undefined : items;
    const call = new HandlerCall(this.lane, first.received, first.owner, first.record, own);
    call.attempt = this.attempt;
    call.undoneCount = this.undoneCount;
    call.startedAt = this.startedAt;
    call.firstFailedAt = this.firstFailedAt;
    call.lastFailedAt = this.lastFailedAt;
    call.laneError = this.laneError;
    if (this.items === undefined) this.isDropped = true;
    else this.items = this.items.filter((item) => !items.includes(item));
    return call;
  }

  /** The same attempt once more, after it was interrupted. */
  begin(): void {
    this.#ownSends = undefined;
    this.#sends = undefined;
    this.failure = undefined;
    this.failedItems = undefined;
    this.isTakenAway = false;
    this.hasReturned = false;
    this.timeout = undefined;
    this.#controller = undefined;
    this.#abortReason = undefined;
  }

  /** The same records once more. */
  nextAttempt(): void {
    this.attempt++;
    this.undoneCount = 0;
    this.begin();
  }
}
