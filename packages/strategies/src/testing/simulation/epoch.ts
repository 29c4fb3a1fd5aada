import type { SentRecords } from './sent-records.ts';

/** How an epoch ended: given back, taken away, or with its process. */
type EpochEnd = 'released' | 'lost' | 'closed' | 'crashed';

/** One process's time with one partition, as the broker's side sees it: from `assign` to `release`, or to the end of the client. */
export class Epoch {
  readonly process: string;
  readonly partition: number;
  readonly start: number;
  /** What the group had committed when it began. */
  readonly committedAtStart: number | undefined;
  /** Offsets that were handled, or passed over, in this epoch. */
  readonly finished: Set<number> = new Set<number>();
  /** Offsets that a handler was called with in this epoch. */
  readonly started: Set<number> = new Set<number>();
  /** Behind the last record that had been started when the process was told to give the partition back: only what lies below may still be. */
  startedEnd: number = Number.POSITIVE_INFINITY;
  /** Why what was overtaken cannot be started: a handler of the process is stuck, or the partition stands still at a failed record. */
  blockedBy: 'stuck' | 'frozen' | undefined;
  /** Until then what something above has overtaken has to be finished. */
  #gapsUntil = Number.POSITIVE_INFINITY;
  /** `leaving` and `lost`: the process has been told so. */
  state: 'active' | 'leaving' | 'lost' | 'over' = 'active';
  /** Since when, in milliseconds since the epoch of Unix. */
  since: number;
  /** The broker has given the partition up for lost, whether or not the process knows. */
  isExpelled = false;
  /** When it did. */
  expelledAt: number | undefined;
  /** What the worker could not commit, as long as nothing is acknowledged that covers it. */
  unacknowledged: number | undefined;
  /** How many commits of the process had failed when the last one of this partition was acknowledged. */
  failuresAtCommit: number;
  /** Up to where its records are committed, as far as the worker has heard. */
  #committedTo: number;
  /** A commit after one that had failed was smaller, and what it left of this partition has not been committed since. */
  #isLeftBehind = false;
  end:
    | {
        readonly how: EpochEnd;
        readonly frontier: number;
        /** Why the record at the frontier was not finished. */
        readonly why: string | undefined;
        readonly hadCommitTrouble: boolean;
      }
    | undefined;

  constructor(
    process: string,
    start: { readonly partition: number; readonly offset: number },
    committedAtStart: number | undefined,
    at: { readonly now: number; readonly failures: number },
  ) {
    this.process = process;
    this.partition = start.partition;
    this.start = start.offset;
    this.#committedTo = start.offset;
    this.committedAtStart = committedAtStart;
    this.since = at.now;
    this.failuresAtCommit = at.failures;
  }

  /** Records below an offset that this epoch should have finished, and has not. */
  unfinishedBelow(offset: number, sent: SentRecords): number[] {
    return sent
      .between(this.partition, this.start, offset)
      .map((record) => record.offset)
      .filter((one) => !this.finished.has(one));
  }

  /** A commit was acknowledged, after so many of the process had failed. */
  acknowledged(offset: number, failures: number): void {
    this.failuresAtCommit = failures;
    this.#committedTo = offset;
    this.#isLeftBehind = false;
    if (this.unacknowledged !== undefined && offset >= this.unacknowledged) this.unacknowledged = undefined;
  }

  /** A commit that is smaller for the sake of an earlier one has ended. */
  noteSmallCommit(sent: SentRecords): void {
    const [frontier = Number.POSITIVE_INFINITY] = this.unfinishedBelow(Number.POSITIVE_INFINITY, sent);
    this.#isLeftBehind ||= sent.between(this.partition, this.#committedTo, frontier).length > 0;
  }

  /** The process is told to give the partition back. */
  leave(now: number, gapMs: number): void {
    this.since = now;
    if (this.state === 'active') this.startedEnd = Math.max(-1, ...this.started) + 1;
    this.state = 'leaving';
    this.closeGaps(now, gapMs);
  }

  /** What something above has overtaken is to be finished from now on, for so long. */
  closeGaps(now: number, gapMs: number): void {
    this.#gapsUntil = Math.min(this.#gapsUntil, now + gapMs);
  }

  /** It is over: what was finished above its first unfinished record is repeated by whoever comes next. */
  close(how: EpochEnd, hadCommitTrouble: boolean, sent: SentRecords, now: number): void {
    if (this.state === 'over') return;
    const [first] = this.unfinishedBelow(Number.POSITIVE_INFINITY, sent);
    const wasStarted = first !== undefined && this.started.has(first);
    const isTimeUp = now >= this.#gapsUntil;
    this.end = {
      how: this.isExpelled && how !== 'crashed' ? 'lost' : how,
      frontier: first ?? Number.POSITIVE_INFINITY,
      why: wasStarted ? 'a handler did not finish it' : isTimeUp ? 'its time was up' : this.blockedBy,
      hadCommitTrouble: hadCommitTrouble || this.unacknowledged !== undefined || this.#isLeftBehind,
    };
    this.state = 'over';
  }

  /** Why a record that was finished in this epoch comes again in the next one; undefined when nothing explains it. */
  whyRepeated(offset: number): string | undefined {
    if (this.isExpelled) return 'the partition was lost';
    if (this.end === undefined) return undefined;
    if (this.end.how === 'lost' || this.end.how === 'crashed') return this.end.how;
    if (this.end.hadCommitTrouble) return 'a commit was refused or not acknowledged';
    return offset > this.end.frontier ? this.end.why : undefined;
  }
}
