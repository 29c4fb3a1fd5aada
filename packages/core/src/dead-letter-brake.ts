import type { Brake } from './failure.ts';

const DEFAULTS: Required<Brake> = { maxConsecutive: 100, maxRatio: 0.5, minRecords: 100, windowMs: 60_000 };
const BUCKET_MS = 1_000;
/** The longest window, in buckets. */
const BUCKETS = 600;

/** What became of records of late, by the second. Pure. */
export class OutcomeWindow {
  /** Dead letters since the last record that was handled. */
  consecutive = 0;
  readonly #handled = new Uint32Array(BUCKETS);
  readonly #deadLetters = new Uint32Array(BUCKETS);
  #bucket = 0;

  noteHandled(now: number): void {
    this.consecutive = 0;
    const i = this.#at(now);
    this.#handled[i] = (this.#handled[i] as number) + 1;
  }

  noteDeadLetter(now: number): void {
    this.consecutive++;
    const i = this.#at(now);
    this.#deadLetters[i] = (this.#deadLetters[i] as number) + 1;
  }

  /** Why there are too many, if there are. */
  objection(brake: Brake, now: number): string | undefined {
    const { maxConsecutive = DEFAULTS.maxConsecutive, maxRatio = DEFAULTS.maxRatio } = brake;
    const { minRecords = DEFAULTS.minRecords, windowMs = DEFAULTS.windowMs } = brake;
    if (this.consecutive >= maxConsecutive) return `${this.consecutive} records in a row have failed`;
    const newest = this.#at(now);
    const buckets = Math.min(BUCKETS, Math.ceil(windowMs / BUCKET_MS));
    let handled = 0;
    let deadLetters = 0;
    for (let i = 0; i < buckets; i++) {
      const at = (newest - i + BUCKETS) % BUCKETS;
      handled += this.#handled[at] as number;
      deadLetters += this.#deadLetters[at] as number;
    }
    const records = handled + deadLetters;
    if (records < minRecords || deadLetters / records < maxRatio) return undefined;
    return `${deadLetters} of ${records} records within ${windowMs} ms have failed`;
  }

  /** The bucket of this second; those that were skipped are emptied on the way. */
  #at(now: number): number {
    const bucket = Math.max(this.#bucket, Math.floor(now / BUCKET_MS));
    const passed = Math.min(BUCKETS, bucket - this.#bucket);
    for (let i = 1; i <= passed; i++) {
      const at = (bucket - passed + i) % BUCKETS;
      this.#handled[at] = 0;
      this.#deadLetters[at] = 0;
    }
    this.#bucket = bucket;
    return bucket % BUCKETS;
  }
}

/** Counts for each partition and for the worker, and says when dead letters are too many to be right. Pure. */
export class DeadLetterBrake<Partition extends object> {
  readonly #worker = new OutcomeWindow();
  readonly #partitions = new WeakMap<Partition, OutcomeWindow>();

  noteHandled(partition: Partition, now: number): void {
    this.#worker.noteHandled(now);
    this.#of(partition).noteHandled(now);
  }

  /** Counts a record that is to become a dead letter. Why it must not, if the brake holds. */
  noteDeadLetter(partition: Partition, brake: Brake | false | undefined, now: number): string | undefined {
    const own = this.#of(partition);
    own.noteDeadLetter(now);
    this.#worker.noteDeadLetter(now);
    if (brake === false) return undefined;
    const options = brake ?? DEFAULTS;
    const objection = own.objection(options, now);
    if (objection !== undefined) return `${objection} in the partition`;
    const ofAll = this.#worker.objection(options, now);
    return ofAll === undefined ? undefined : `${ofAll} in the worker`;
  }

  #of(partition: Partition): OutcomeWindow {
    let window = this.#partitions.get(partition);
    if (window === undefined) {
      window = new OutcomeWindow();
      this.#partitions.set(partition, window);
    }
    return window;
  }
}
