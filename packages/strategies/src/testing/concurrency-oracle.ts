import type { Poll, TopicPartition } from '@kafka-worker/core';
import type { ConcurrencyUnderTest, ExpectedLimit, SentRecord } from './concurrency-under-test.ts';

/** A handler call that runs. */
export interface ObservedCall {
  readonly records: readonly SentRecord[];
  readonly lane: string | undefined;
  /** Its partition was lost: whoever has it now need not wait for the call. */
  isOrphan: boolean;
}

interface ObservedLane {
  /** Where in the polled order its last started record stands. */
  last: number;
  running: ObservedCall | undefined;
  /** Records that failed and wait for their next call. */
  readonly failed: Set<string>;
}

/**
 * Watches one worker from outside (what was polled, which calls ran, what was settled) and notes in `broken` what its strategy does not allow.
 * Knows no scheduler: only lanes, limits, and the order of the polls.
 */
export class ConcurrencyOracle {
  readonly broken: string[] = [];
  /** Polled, ours, and never started. */
  readonly waiting: Map<string, SentRecord> = new Map();
  readonly running: Set<ObservedCall> = new Set();
  /** Of partitions that are being revoked: below one that was begun, so that they are handled before the partition is given back. */
  readonly #overtaken = new Set<string>();
  /** Behind the last record of a partition that was started, or settled. */
  readonly #begunEnds = new Map<string, number>();
  readonly #under: ConcurrencyUnderTest;
  readonly #lookUp: (place: string) => SentRecord | undefined;
  readonly #sequence = new Map<string, number>();
  /** Partitions that are ours, and how often each has been taken away. */
  readonly #owned = new Set<string>();
  readonly #epochs = new Map<string, number>();
  readonly #settled = new Set<string>();
  readonly #paused = new Set<string>();
  /** Failed, and to be called again. */
  readonly #retried = new Map<string, SentRecord>();
  readonly #lanes = new Map<string, ObservedLane>();
  readonly #starts: number[] = [];
  #polled = 0;

  constructor(under: ConcurrencyUnderTest, lookUp: (place: string) => SentRecord | undefined) {
    this.#under = under;
    this.#lookUp = lookUp;
  }

  polled({ events, records }: Poll): void {
    for (const { type, partitions } of events) {
      for (const partition of partitions) {
        if (type === 'assigned') this.#came(partition);
        else this.#left(partition, type === 'lost');
      }
    }
    for (const received of records) {
      const record = this.#lookUp(placeOf(received));
      if (record === undefined || !this.#owned.has(partitionName(received))) continue;
      this.#sequence.set(placeOf(record), this.#polled++);
      this.waiting.set(placeOf(record), record);
      // Until then it may be started still by the assignment before, which is not over when the next one is announced.
      this.#overtaken.delete(placeOf(record));
    }
  }

  started(records: readonly SentRecord[], attempt: number, now: number): ObservedCall {
    const names = records.map(placeOf).join('+');
    const { perSecond } = this.#under;
    this.#starts.push(now);
    const before = perSecond === undefined ? undefined : this.#starts.at(-1 - perSecond);
    if (before !== undefined && now - before < 999.9) this.broken.push(`${names} starts too soon`);
    const lanes = new Set(records.map(this.#under.laneOf));
    const [lane] = lanes;
    if (lanes.size !== 1) this.broken.push(`${names} is a batch of ${lanes.size} lanes`);
    for (const record of records) {
      const isFirst = this.waiting.delete(placeOf(record)) || this.#overtaken.delete(placeOf(record));
      this.#noteBegun(record);
      const isRepeated = this.#retried.delete(placeOf(record));
      if (isFirst !== (attempt === 1) || isRepeated !== attempt > 1)
        this.broken.push(`${placeOf(record)} starts as attempt ${attempt}`);
      if (this.#isPaused(placeOf(record))) this.broken.push(`${placeOf(record)} starts while it is paused`);
    }
    const call: ObservedCall = { records, lane, isOrphan: false };
    if (lane !== undefined) this.#startInLane(call, names, attempt);
    this.running.add(call);
    for (const limit of this.#under.limits) {
      for (const [scope, active] of this.#activeUnder(limit)) {
        if (active.size > limit.most) this.broken.push(`${names} makes ${active.size} active in "${scope}"`);
      }
    }
    return call;
  }

  /** @param retried what of it failed and gets another call */
  ended(call: ObservedCall, retried: readonly SentRecord[]): void {
    this.running.delete(call);
    const lane = call.lane === undefined ? undefined : this.#lane(call.lane);
    if (lane?.running === call) lane.running = undefined;
    if (call.isOrphan) return;
    for (const record of retried) {
      if (!this.#owned.has(partitionName(record))) continue;
      this.#retried.set(placeOf(record), record);
      lane?.failed.add(placeOf(record));
    }
  }

  settled(record: SentRecord): void {
    const place = placeOf(record);
    const once = `${place} in epoch ${this.#epochs.get(partitionName(record)) ?? 0}`;
    if (this.#settled.has(once)) this.broken.push(`${once} is settled twice`);
    this.#settled.add(once);
    // One whose lane function throws is settled without a call.
    this.#noteBegun(record);
    this.waiting.delete(place);
    this.#overtaken.delete(place);
    this.#retried.delete(place);
    for (const lane of this.#lanes.values()) lane.failed.delete(place);
  }

  /** Nothing of these partitions is started until they go on. What has failed of them may keep its lane until its retry is due, no longer. */
  paused(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#paused.add(partitionName(partition));
  }

  /** What waits of these partitions comes behind the others of its lane, but for what has failed. */
  resumed(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const name = partitionName(partition);
      if (!this.#paused.delete(name)) continue;
      for (const place of this.waiting.keys())
        if (place.startsWith(`${name}@`)) this.#sequence.set(place, this.#polled++);
    }
  }

  /** Records that nothing keeps from being handled now, and that wait all the same. To be asked when everything has settled. */
  heldUpForNothing(): string[] {
    if (this.#under.perSecond !== undefined || [...this.running].some(({ isOrphan }) => isOrphan)) return [];
    const heads = new Map<string, SentRecord>();
    for (const record of this.waiting.values()) {
      if (this.#isPaused(placeOf(record))) continue;
      const lane = this.#under.laneOf(record) ?? placeOf(record);
      const head = heads.get(lane);
      if (head === undefined || this.#sequenceOf(record) < this.#sequenceOf(head)) heads.set(lane, record);
    }
    return [...heads]
      .filter(([name, record]) => {
        const lane = this.#lanes.get(name);
        if (lane !== undefined && (lane.running !== undefined || lane.failed.size > 0)) return false;
        return !this.#under.limits.some((limit) => this.#isUsedUp(limit, record));
      })
      .map(([, record]) => placeOf(record));
  }

  /** Whether a record was polled after another one. */
  isBehind(record: SentRecord, other: SentRecord): boolean {
    return this.#sequenceOf(record) > this.#sequenceOf(other);
  }

  #startInLane(call: ObservedCall, names: string, attempt: number): void {
    const lane = this.#lane(call.lane ?? '');
    if (lane.running !== undefined) this.broken.push(`${names} starts while ${call.lane} has a call running`);
    lane.running = call;
    for (const record of call.records) {
      lane.failed.delete(placeOf(record));
      if (attempt > 1) continue;
      if (this.#sequenceOf(record) <= lane.last) this.broken.push(`${placeOf(record)} comes late in ${call.lane}`);
      lane.last = this.#sequenceOf(record);
    }
    // A pause parts a failed batch by partitions: which of them is repeated first is nobody's order.
    const isBefore = (place: string): boolean =>
      attempt === 1 || call.records.some((record) => place.startsWith(`${partitionName(record)}@`));
    const overtaken = [...lane.failed].filter((place) => !this.#isPaused(place) && isBefore(place));
    if (overtaken.length > 0) this.broken.push(`${names} overtakes ${overtaken.join()} of ${call.lane}`);
  }

  #noteBegun(record: SentRecord): void {
    const partition = partitionName(record);
    this.#begunEnds.set(partition, Math.max(this.#begunEnds.get(partition) ?? 0, record.offset + 1));
  }

  #came(partition: TopicPartition): void {
    const name = partitionName(partition);
    this.#owned.add(name);
    this.#epochs.set(name, (this.#epochs.get(name) ?? 0) + 1);
    this.#begunEnds.delete(name);
  }

  #left(partition: TopicPartition, isLost: boolean): void {
    const name = partitionName(partition);
    this.#owned.delete(name);
    const isOfIt = (place: string): boolean => place.startsWith(`${name}@`);
    const begunEnd = this.#begunEnds.get(name) ?? 0;
    for (const [place, { offset }] of isLost ? [] : this.waiting)
      if (isOfIt(place) && offset < begunEnd) this.#overtaken.add(place);
    for (const place of isLost ? this.#overtaken : []) if (isOfIt(place)) this.#overtaken.delete(place);
    for (const places of [this.waiting, this.#retried])
      for (const place of places.keys()) if (isOfIt(place)) places.delete(place);
    for (const call of isLost ? this.running : []) call.isOrphan ||= call.records.some((one) => isOfIt(placeOf(one)));
    for (const lane of this.#lanes.values()) {
      for (const place of lane.failed) if (isOfIt(place)) lane.failed.delete(place);
      if (lane.running?.isOrphan === true) lane.running = undefined;
    }
  }

  #isPaused(place: string): boolean {
    return this.#paused.has(place.slice(0, place.lastIndexOf('@')));
  }

  #isUsedUp(limit: ExpectedLimit, record: SentRecord): boolean {
    const scope = limit.among?.(record) ?? '';
    const active = this.#activeUnder(limit).get(scope) ?? new Set();
    if (active.size < limit.most) return false;
    const own = limit.of?.(record);
    if (own === undefined || !active.has(own)) return true;
    if (limit.hasTurns !== true) return false;
    // Its turn may be over, if there is another one to follow.
    return [...this.waiting.values(), ...this.#retried.values()].some(
      (other) => (limit.among?.(other) ?? '') === scope && limit.of?.(other) !== own,
    );
  }

  #activeUnder({ among, of }: ExpectedLimit): Map<string, Set<unknown>> {
    const active = new Map<string, Set<unknown>>();
    for (const call of this.running) {
      const [first] = call.records;
      // What shares a partition's limit is of the time in which we have it; another limit holds over all times.
      if (first === undefined || (call.isOrphan && among !== undefined)) continue;
      const scope = among?.(first) ?? '';
      const inScope = active.get(scope) ?? new Set();
      active.set(scope, inScope.add(of?.(first) ?? call));
    }
    return active;
  }

  #lane(name: string): ObservedLane {
    const lane = this.#lanes.get(name) ?? { last: -1, running: undefined, failed: new Set<string>() };
    this.#lanes.set(name, lane);
    return lane;
  }

  #sequenceOf(record: SentRecord): number {
    return this.#sequence.get(placeOf(record)) ?? -1;
  }
}

export function placeOf(record: TopicPartition & { readonly offset: number }): string {
  return `${partitionName(record)}@${record.offset}`;
}

function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
