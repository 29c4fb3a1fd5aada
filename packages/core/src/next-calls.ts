import { type CallItem, HandlerCall } from './handler-call.ts';
import { LaneError } from './handler-errors.ts';
import type { Lane } from './lane.ts';
import type { Lanes } from './lanes.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';
import type { RecordViews } from './record-views.ts';

/** What calls are made of. */
export interface NextCallsParts {
  readonly lanes: Lanes<HandlerCall>;
  readonly views: RecordViews;
  /** The time as the lanes want it. */
  readonly laneNow: () => number;
  readonly ownerOf: (record: ReceivedRecord) => OwnedPartition | undefined;
  readonly isBatch: boolean;
}

/** The call that a lane may start next: one that comes back to it, or a new one of the records that wait in it. */
export class NextCalls {
  readonly #parts: NextCallsParts;

  constructor(parts: NextCallsParts) {
    this.#parts = parts;
  }

  /** Undefined, or an empty call, when its records are nobody's any more. */
  of(lane: Lane<HandlerCall>): HandlerCall | undefined {
    const { resumed } = lane;
    const again = lane.isOrdered && resumed.length > 1 ? takeFirst(resumed) : resumed.shift();
    const call = again ?? this.#new(lane);
    // A call that waited for its turn may have been left by its partitions meanwhile.
    if (call?.owner.startsAll !== true || call.items !== undefined) call?.withdrawQueued();
    return call;
  }

  #new(lane: Lane<HandlerCall>): HandlerCall | undefined {
    const { lanes, ownerOf, isBatch, views } = this.#parts;
    if (!isBatch) {
      const received = lanes.take(lane);
      const owner = ownerOf(received);
      if (owner === undefined) return undefined;
      const call = new HandlerCall(lane, received, owner, views.of(received), undefined);
      if (lane.countsCalls) this.#noteLaneError(call);
      return call;
    }
    const items: CallItem[] = [];
    for (const received of lanes.takeBatch(lane, this.#parts.laneNow())) {
      const owner = ownerOf(received);
      if (owner !== undefined) items.push({ received, owner, record: views.of(received) });
    }
    const first = items[0];
    if (first === undefined) return undefined;
    const call = new HandlerCall(lane, first.received, first.owner, first.record, items);
    if (lane.countsCalls) this.#noteLaneError(call);
    return call;
  }

  /** A record for which the lane function threw has failed before its handler was called. */
  #noteLaneError(call: HandlerCall): void {
    const thrown = this.#parts.lanes.takeLaneError(call.received);
    if (thrown !== undefined) call.laneError = new LaneError(call.received, thrown.error);
  }
}

/** Parts of a batch come back when their waits are over, in whatever order: the one whose record comes first in its partition goes first. */
function takeFirst(calls: HandlerCall[]): HandlerCall | undefined {
  let first = 0;
  for (const [i, { first: item }] of calls.entries()) {
    const other = calls[first]?.first;
    if (item.owner === other?.owner && item.received.offset < other.received.offset) first = i;
  }
  return calls.splice(first, 1)[0];
}
