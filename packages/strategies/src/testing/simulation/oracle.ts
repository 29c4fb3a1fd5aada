import type { NextOffset } from '@kafka-worker/core';
import type { Epoch } from './epoch.ts';
import type { Invariant, Violation } from './invariants.ts';
import { type Output, Outputs } from './outputs.ts';
import { Ownership } from './ownership.ts';
import { nameOf, type Place, type SentRecord, SentRecords } from './sent-records.ts';
import { abortOf, type SimulatedCall } from './simulated-call.ts';

/** What the oracle has to know of a run. */
export interface OracleParts {
  readonly now: () => number;
  readonly committed: (partition: number) => number | undefined;
  readonly owner: (partition: number) => string | undefined;
  /** The lane that a record is handled in; undefined where nothing orders it. */
  readonly laneOf: (record: SentRecord) => string | undefined;
  /** How many calls may run at once. */
  readonly maxCalls: number;
  readonly onStuckHandler: 'fail' | 'release';
  readonly handlerTimeoutMs: number | undefined;
  readonly revokeDrainMs: number;
  /** What a reader of what is committed sees, in the order of the log; nothing where handlers send nothing. */
  readonly visible: () => readonly Output[];
}

/** Watches handlers and clients of every process, and says what must not be. */
export class Oracle {
  readonly broken: Violation[] = [];
  readonly sent: SentRecords = new SentRecords();
  readonly ownership: Ownership;
  readonly outputs: Outputs;
  /** What has happened, each with its time: the same for the same seed. */
  readonly history: string[] = [];
  readonly #parts: OracleParts;
  readonly #startedAt: number;
  readonly #running = new Set<SimulatedCall>();
  /** The call that last finished a record, by its name. */
  readonly #finishedBy = new Map<string, { readonly epoch: Epoch | undefined; readonly wasAborted: boolean }>();
  /** By process: of the offsets that it wants to have in its transaction, the partitions that were its own when they arrived. */
  readonly #ownedOnArrival = new Map<string, ReadonlySet<number>>();
  /** What became of a record's last call, by its process and name. */
  readonly #lastEnds = new Map<string, 'finished' | 'failed' | 'interrupted'>();

  constructor(parts: OracleParts) {
    this.#parts = parts;
    this.#startedAt = parts.now();
    const report = (invariant: Invariant, what: string): void => this.report(invariant, what);
    const { now, committed, owner, revokeDrainMs, visible } = parts;
    this.ownership = new Ownership({ sent: this.sent, now, committed, owner, report, gapMs: revokeDrainMs / 2 });
    const epoch = (process: string, partition: number): Epoch | undefined => this.ownership.epoch(process, partition);
    this.outputs = new Outputs({ sent: this.sent, now, committed, visible, epoch, report });
  }

  /** Calls whose handler has not returned. */
  get running(): ReadonlySet<SimulatedCall> {
    return this.#running;
  }

  report(invariant: Invariant, what: string): void {
    this.broken.push({ invariant, what, atMs: this.#parts.now() - this.#startedAt });
  }

  /** Something happened. */
  note(what: string): void {
    this.history.push(`${this.#parts.now() - this.#startedAt} ms: ${what}`);
  }

  started(process: string, records: readonly SentRecord[], attempt: number, signal: () => AbortSignal): SimulatedCall {
    const epochs = new Map<number, Epoch>();
    for (const { partition } of records) {
      const epoch = this.ownership.epoch(process, partition);
      if (epoch !== undefined && epoch.state !== 'over') epochs.set(partition, epoch);
    }
    const call: SimulatedCall = { process, records, startedAt: this.#parts.now(), epochs, signal, isAbandoned: false };
    this.note(`${process} starts ${records.map(nameOf).join(' ')} attempt ${attempt}`);
    for (const record of records) {
      this.#checkOwner(call, record);
      this.#checkOthers(call, record);
      const epoch = epochs.get(record.partition);
      if (epoch === undefined) continue;
      this.#checkOrder(call, record, epoch);
      this.#checkRepetition(process, record, epoch);
      epoch.started.add(record.offset);
    }
    this.#running.add(call);
    const atOnce = [...this.#running].filter((other) => other.process === process && !other.isAbandoned).length;
    if (atOnce > this.#parts.maxCalls) this.report('order', `${process} runs ${atOnce} calls at once`);
    return call;
  }

  /** The handler has returned; `failed` are the records that it has failed for. */
  ended(call: SimulatedCall, failed: readonly Place[]): void {
    if (!this.#running.delete(call)) return;
    const abort = abortOf(call);
    const { now, handlerTimeoutMs = Number.POSITIVE_INFINITY } = this.#parts;
    // Also where it was asked to return for another reason before.
    const isLate = abort === 'timed-out' || now() - call.startedAt > handlerTimeoutMs;
    this.note(`${call.process} ends ${call.records.map(nameOf).join(' ')} failed ${failed.length} ${abort ?? ''}`);
    for (const record of call.records) {
      const isFailed = failed.includes(record) || isLate;
      const end = !isFailed ? 'finished' : abort === 'taken-away' ? 'interrupted' : 'failed';
      this.#lastEnds.set(`${call.process} ${nameOf(record)}`, end);
      if (end !== 'finished') continue;
      this.sent.finish(record);
      this.outputs.finished(call, record);
      if (!call.isAbandoned) this.#finish(call.epochs.get(record.partition), record, abort !== undefined);
    }
  }

  /** The worker has finished a record otherwise than by handling it. */
  passedOver(process: string, place: Place, isDeadLettered: boolean): void {
    this.note(`${process} passes over ${nameOf(place)}`);
    if (this.#lastEnds.get(`${process} ${nameOf(place)}`) !== 'failed')
      this.report('no-loss', `${process} passes over ${nameOf(place)}, which has not failed`);
    const epoch = this.ownership.epoch(process, place.partition);
    this.sent.finish(place);
    this.outputs.passedOver(epoch, place, isDeadLettered);
    this.#finish(epoch, place, false);
  }

  /** A process's offsets have arrived, to be taken into its transaction. */
  arrived(process: string, offsets: readonly NextOffset[]): void {
    const isOwned = ({ partition }: NextOffset): boolean => this.#parts.owner(partition) === process;
    this.#ownedOnArrival.set(process, new Set(offsets.filter(isOwned).map(({ partition }) => partition)));
  }

  /** The broker has taken offsets into a process's transaction. That is heard of some microtasks later. */
  accepted(process: string, offsets: readonly NextOffset[]): void {
    const { owner: ownerOf, now } = this.#parts;
    for (const { partition } of offsets) {
      const owner = ownerOf(partition);
      // Only what came before it was expelled can have been taken before.
      const isExpelledSince =
        this.#ownedOnArrival.get(process)?.has(partition) === true &&
        this.ownership.epoch(process, partition)?.expelledAt === now();
      if (owner !== process && !isExpelledSince)
        this.report('fenced', `${process} commits partition ${partition}, which ${owner ?? 'nobody'} owns`);
    }
  }

  /** The worker says that a handler is stuck: where it gives the slot away, what the handler still does counts for nothing. */
  stuck(process: string, place: Place): void {
    this.ownership.stuck(process);
    for (const call of this.#running) {
      // One that was asked to return: the next epoch's call of the same record may have started already.
      if (call.process !== process || call.isAbandoned || abortOf(call) === undefined) continue;
      if (!call.records.some((record) => nameOf(record) === nameOf(place))) continue;
      const isGone = [...call.epochs.values()].every(({ state }) => state === 'over' || state === 'lost');
      call.isAbandoned = this.#parts.onStuckHandler === 'release' || isGone;
      // Its time was up, and that is what it has failed with.
      for (const record of call.records)
        if (call.isAbandoned && abortOf(call) === 'timed-out')
          this.#lastEnds.set(`${process} ${nameOf(record)}`, 'failed');
    }
  }

  /** The process is no more, and nothing that it had under way counts. */
  crashed(process: string): void {
    this.note(`${process} crashes`);
    this.ownership.gone(process, 'crashed');
    for (const call of [...this.#running]) if (call.process === process) this.#running.delete(call);
  }

  /** Everything is calm: nothing may be left. */
  checkNothingIsLost(): void {
    for (const partition of this.sent.partitions()) {
      for (const record of this.sent.of(partition))
        if (!this.sent.isFinished(record)) this.report('no-loss', `${nameOf(record)} was never handled`);
      const last = this.sent.of(partition).at(-1)?.offset ?? -1;
      const committed = this.#parts.committed(partition) ?? 0;
      if (committed <= last)
        this.report('no-loss', `partition ${partition} is committed at ${committed} of ${last + 1}`);
    }
  }

  #finish(epoch: Epoch | undefined, place: Place, wasAborted: boolean): void {
    this.#finishedBy.set(nameOf(place), { epoch, wasAborted });
    if (epoch?.state === 'active' || epoch?.state === 'leaving') epoch.finished.add(place.offset);
  }

  #checkOwner(call: SimulatedCall, record: SentRecord): void {
    const what = `${call.process} starts ${nameOf(record)}`;
    const epoch = call.epochs.get(record.partition);
    if (epoch === undefined) this.report('one-owner', `${what}, which it does not own`);
    // What the poll told is known a few microtasks later.
    else if (epoch.state !== 'active' && this.#parts.now() > epoch.since && !isOvertaken(epoch, record))
      this.report('one-owner', `${what}, of a partition that is ${epoch.state}`);
  }

  #checkOthers(call: SimulatedCall, record: SentRecord): void {
    // Whoever has been expelled may not know yet; what it finishes is not committed.
    if (call.epochs.get(record.partition)?.isExpelled === true) return;
    for (const other of this.#running) {
      if (other.process === call.process) continue;
      const shared = other.records.find(({ partition }) => partition === record.partition);
      if (shared === undefined || other.epochs.get(record.partition)?.isExpelled === true) continue;
      if (this.#parts.onStuckHandler === 'release' && abortOf(other) !== undefined) continue;
      this.report(
        'one-owner',
        `${call.process} starts ${nameOf(record)} while ${other.process} handles ${nameOf(shared)}`,
      );
    }
  }

  #checkOrder(call: SimulatedCall, record: SentRecord, epoch: Epoch): void {
    const { laneOf } = this.#parts;
    const lane = laneOf(record);
    if (lane === undefined) return;
    const what = `${call.process} starts ${nameOf(record)}`;
    for (const other of this.#running) {
      if (other.isAbandoned || other.epochs.get(record.partition) !== epoch) continue;
      const shared = other.records.find((one) => laneOf(one) === lane);
      if (shared !== undefined) this.report('order', `${what} while ${nameOf(shared)} of its lane is handled`);
    }
    for (const offset of epoch.unfinishedBelow(record.offset, this.sent)) {
      const before = this.sent.get({ partition: record.partition, offset });
      if (laneOf(before) === lane && !call.records.includes(before))
        this.report('order', `${what} before ${nameOf(before)} of its lane is finished`);
    }
    const [unsorted] = call.records
      .slice(call.records.indexOf(record) + 1)
      .filter((one) => laneOf(one) === lane && one.offset < record.offset);
    if (unsorted !== undefined) this.report('order', `${what} before ${nameOf(unsorted)} in one call`);
  }

  #checkRepetition(process: string, record: SentRecord, epoch: Epoch): void {
    const what = `${process} handles ${nameOf(record)} again`;
    if (epoch.finished.has(record.offset)) this.report('duplicates', `${what} in the same epoch`);
    if (record.offset < (epoch.committedAtStart ?? 0)) this.report('duplicates', `${what}, which was committed`);
    const before = this.#finishedBy.get(nameOf(record));
    if (before === undefined || before.epoch === epoch || before.wasAborted || epoch.isExpelled) return;
    if (before.epoch !== undefined && before.epoch.whyRepeated(record.offset) === undefined)
      this.report('duplicates', `${what} after ${before.epoch.process}, and nothing explains it`);
  }
}

/** Whether something above it had been started when its partition was revoked: then it is finished before that is given back. */
function isOvertaken({ state, startedEnd }: Epoch, { offset }: Place): boolean {
  return state === 'leaving' && offset < startedEnd;
}
