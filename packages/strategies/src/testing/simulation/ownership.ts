import type { AssignmentEvent, NextOffset, StartOffset, TopicPartition } from '@kafka-worker/core';
import { Epoch } from './epoch.ts';
import type { Invariant } from './invariants.ts';
import type { SentRecords } from './sent-records.ts';

/** What ownership has to know of the run. */
export interface OwnershipParts {
  readonly sent: SentRecords;
  readonly now: () => number;
  /** How long what was overtaken is being finished when a partition is revoked. */
  readonly gapMs: number;
  /** What the group has committed of a partition. */
  readonly committed: (partition: number) => number | undefined;
  /** The process that the group says owns a partition. */
  readonly owner: (partition: number) => string | undefined;
  readonly report: (invariant: Invariant, what: string) => void;
}

/** What is known of one process's commits of one partition. */
interface Commits {
  failures: number;
  underWay: number;
}

/** Who owns which partition, as it passes between a process's worker and its client; and that what is committed may be. */
export class Ownership {
  readonly #parts: OwnershipParts;
  /** By process, then by partition: the last one. */
  readonly #epochs = new Map<string, Map<number, Epoch>>();
  /**
   * Partitions that a process was told are assigned to it, and has not taken over: their starts may be committed. With what the group had committed
   * then: a commit that nobody waits for any more may arrive after the process has asked.
   */
  readonly #offers = new Map<string, Map<number, number | undefined>>();
  /** By process and partition. */
  readonly #commits = new Map<string, Commits>();
  /** Processes of which a commit has failed: the next ones may leave something for later. */
  readonly #withFailures = new Set<string>();

  constructor(parts: OwnershipParts) {
    this.#parts = parts;
  }

  /** The last epoch of a process with a partition. */
  epoch(process: string, partition: number): Epoch | undefined {
    return this.#epochs.get(process)?.get(partition);
  }

  /** The worker takes partitions over. */
  assigned(process: string, starts: readonly StartOffset[]): void {
    const { sent, committed, owner, report, now } = this.#parts;
    const epochs = this.#epochs.get(process) ?? new Map<number, Epoch>();
    this.#epochs.set(process, epochs);
    for (const start of starts) {
      const { partition, offset } = start;
      const before = committed(partition);
      const offers = this.#offers.get(process);
      const whenTold = offers?.has(partition) === true ? offers.get(partition) : before;
      offers?.delete(partition);
      epochs.get(partition)?.close('released', false, sent, now());
      const epoch = new Epoch(process, start, whenTold, {
        now: now(),
        failures: this.#of(process, partition).failures,
      });
      epochs.set(partition, epoch);
      // It may have been taken away while it was on offer.
      epoch.isExpelled = owner(partition) !== process;
      if (epoch.isExpelled) continue;
      if (whenTold !== undefined && offset < whenTold)
        report(
          'duplicates',
          `${process} starts partition ${partition} at ${offset}, although ${whenTold} is committed`,
        );
      for (const record of sent.between(partition, before ?? 0, offset))
        if (!sent.isFinished(record)) report('no-loss', `${process} starts behind ${partition}@${record.offset}`);
    }
  }

  /** A poll has told the worker of these. */
  told(process: string, events: readonly AssignmentEvent[]): void {
    for (const { type, partitions } of events) {
      if (type === 'assigned') {
        const offers = this.#offers.get(process) ?? new Map<number, number | undefined>();
        for (const { partition } of partitions) offers.set(partition, this.#parts.committed(partition));
        this.#offers.set(process, offers);
        continue;
      }
      for (const epoch of this.#among(process, partitions)) {
        if (epoch.state === 'over') continue;
        if (type === 'revoked') epoch.leave(this.#parts.now(), this.#parts.gapMs);
        else Object.assign(epoch, { state: 'lost', since: this.#parts.now() });
      }
    }
  }

  /** The worker stops, and finishes for so long what was overtaken. */
  stopping(process: string, gapMs: number): void {
    for (const epoch of this.#epochs.get(process)?.values() ?? []) epoch.closeGaps(this.#parts.now(), gapMs);
  }

  /** The worker says that commits of these were refused, or not acknowledged in time, also where it could not even begin one. */
  commitFailed(process: string, offsets: readonly NextOffset[]): void {
    for (const { partition, offset } of offsets) {
      const epoch = this.epoch(process, partition);
      if (epoch !== undefined) epoch.unacknowledged = offset;
    }
  }

  /** A handler ignores that it was asked to return. */
  stuck(process: string): void {
    for (const epoch of this.#epochs.get(process)?.values() ?? []) epoch.blockedBy = 'stuck';
  }

  /** A partition stands still at a failed record, or goes on. */
  frozen(process: string, partition: number, isFrozen: boolean): void {
    const epoch = this.epoch(process, partition);
    if (epoch !== undefined && epoch.blockedBy !== 'stuck') epoch.blockedBy = isFrozen ? 'frozen' : undefined;
  }

  /** The broker has taken partitions away from a process, which may not know yet. */
  expelled(process: string, partitions: readonly TopicPartition[]): void {
    for (const epoch of this.#among(process, partitions))
      Object.assign(epoch, { isExpelled: true, expelledAt: this.#parts.now() });
  }

  /** The worker lets partitions go. */
  released(process: string, partitions: readonly TopicPartition[]): void {
    for (const epoch of this.#among(process, partitions)) this.#close(epoch, 'released');
  }

  /** The process's client is closed, or the process is no more. */
  gone(process: string, how: 'closed' | 'crashed'): void {
    for (const epoch of this.#epochs.get(process)?.values() ?? []) this.#close(epoch, how);
  }

  /** The worker commits; the returned function is to be told whether that was acknowledged. */
  committing(process: string, offsets: readonly NextOffset[]): (isAcknowledged: boolean) => void {
    for (const next of offsets) this.#checkCommit(process, next);
    const all = offsets.map((next) => ({ next, commits: this.#of(process, next.partition) }));
    for (const { commits } of all) commits.underWay++;
    const isSmall = this.#withFailures.has(process);
    return (isAcknowledged) => {
      if (!isAcknowledged) this.#withFailures.add(process);
      for (const { next, commits } of all) {
        commits.underWay--;
        if (!isAcknowledged) commits.failures++;
        else this.epoch(process, next.partition)?.acknowledged(next.offset, commits.failures);
      }
      if (!isSmall) return;
      for (const epoch of this.#epochs.get(process)?.values() ?? [])
        if (epoch.state !== 'over') epoch.noteSmallCommit(this.#parts.sent);
    };
  }

  #checkCommit(process: string, { partition, offset }: NextOffset): void {
    const { sent, committed, report, now } = this.#parts;
    const epoch = this.epoch(process, partition);
    const what = `${process} commits partition ${partition} at ${offset}`;
    if (epoch === undefined || epoch.state === 'over') {
      if (this.#offers.get(process)?.has(partition) !== true) report('commit', `${what}, which is not its own`);
      // The start of an epoch that is about to begin.
      const open = sent.between(partition, committed(partition) ?? 0, offset).find((one) => !sent.isFinished(one));
      if (open !== undefined) report('commit', `${what}, past unfinished ${open.offset}`);
      return;
    }
    if (epoch.state === 'lost' && now() > epoch.since) report('commit', `${what}, which it knows to be lost`);
    if (offset < epoch.start) report('commit', `${what}, below its start ${epoch.start}`);
    const [open] = epoch.unfinishedBelow(offset, sent);
    if (open !== undefined) report('commit', `${what}, past unfinished ${open}`);
  }

  #close(epoch: Epoch, how: 'released' | 'closed' | 'crashed'): void {
    const { failures, underWay } = this.#of(epoch.process, epoch.partition);
    epoch.close(how, underWay > 0 || failures > epoch.failuresAtCommit, this.#parts.sent, this.#parts.now());
  }

  #among(process: string, partitions: readonly TopicPartition[]): Epoch[] {
    return partitions.flatMap(({ partition }) => this.epoch(process, partition) ?? []);
  }

  #of(process: string, partition: number): Commits {
    const name = `${process} ${partition}`;
    const commits = this.#commits.get(name) ?? { failures: 0, underWay: 0 };
    this.#commits.set(name, commits);
    return commits;
  }
}
