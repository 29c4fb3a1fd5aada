import type { Assignment } from './assignment.ts';
import type { Clock, Timer } from './clock.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import { toError } from './kafka-worker-error.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { Turns } from './turns.ts';
import { withTimeout } from './with-timeout.ts';

const LONGEST_LOOK_MS = 5_000;
/** What the broker gets to say where a silent partition ends. */
const ASK_MS = 10_000;

/** What is known of a partition's progress. Times are milliseconds since the epoch. */
export interface Progress {
  /** What was seen at the last look. */
  position: number;
  starts: number;
  frontier: number;
  /** When each of them was first seen so. */
  positionSince: number;
  frontierSince: number;
  /** Since when nothing of it has been started, although records of it wait for nothing else. */
  startableSince: number | undefined;
  /** Since when the broker says that there is more to read than was read, at this position. */
  behindSince: number | undefined;
  /** Why the broker could not be asked, the last time. */
  unanswered: string | undefined;
}

/** What the watch looks at. */
export interface ProgressWatchParts {
  readonly clock: Clock;
  readonly turns: Turns;
  readonly assignment: Assignment;
  readonly consumer: KafkaConsumer;
  readonly stallMs: number;
  /** Whether records could be read of it, if there were any. */
  readonly isRead: (owner: OwnedPartition) => boolean;
  /** Whether records are being started, one after the other. */
  readonly isDispatching: () => boolean;
  /** Partitions with records that wait for nothing but being started. */
  readonly startable: () => ReadonlySet<OwnedPartition>;
}

/**
 * Since when partitions have not moved. Counting would cost something for every record, so every few seconds it is looked whether anything is different
 * from the last time. Of one that could be read, and brings nothing, the broker is asked for the end of its log: what the client knows of that comes
 * with records, and so says nothing when they do not come.
 */
export class ProgressWatch {
  readonly #parts: ProgressWatchParts;
  readonly #lookMs: number;
  #progress = new Map<OwnedPartition, Progress>();
  #timer: Timer | undefined;
  #isAsking = false;
  #isClosed = false;

  constructor(parts: ProgressWatchParts) {
    this.#parts = parts;
    this.#lookMs = Math.max(1, Math.min(LONGEST_LOOK_MS, parts.stallMs / 8));
  }

  start(): void {
    if (this.#isClosed) return;
    this.#timer = this.#parts.clock.setTimeout(() => {
      this.#parts.turns.run(() => this.#look());
      this.start();
    }, this.#lookMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.clear();
  }

  /** Undefined for one that is new. */
  of(owner: OwnedPartition): Progress | undefined {
    return this.#progress.get(owner);
  }

  #look(): void {
    const { clock, assignment, stallMs, isRead, isDispatching } = this.#parts;
    const now = clock.now();
    const before = this.#progress;
    this.#progress = new Map();
    const silent: OwnedPartition[] = [];
    const waiting: OwnedPartition[] = [];
    let hasStarted = false;
    for (const owner of assignment) {
      const last = before.get(owner);
      const progress = compared(last, owner, now);
      this.#progress.set(owner, progress);
      if ((last?.starts ?? 0) !== owner.starts) hasStarted = true;
      else if (mayStart(owner)) waiting.push(owner);
      if (!isRead(owner)) {
        progress.positionSince = now;
        progress.behindSince = undefined;
        // Nobody asks about it now, so nobody would hear that there is an answer again.
        progress.unanswered = undefined;
      } else if (now - progress.positionSince >= stallMs / 4) silent.push(owner);
    }
    // What is not its turn yet, among many that are being started, is in nobody's way.
    const startable = waiting.length === 0 || (hasStarted && isDispatching()) ? undefined : this.#parts.startable();
    for (const owner of waiting) {
      const progress = this.#progress.get(owner);
      if (progress !== undefined && startable?.has(owner) === true)
        progress.startableSince = before.get(owner)?.startableSince ?? now;
    }
    if (silent.length > 0 && !this.#isAsking) void this.#ask(silent);
  }

  /** Since when records of it could have been started, and nothing of it was; undefined when there is no such time. */
  startableSince(owner: OwnedPartition): number | undefined {
    const progress = this.#progress.get(owner);
    return progress?.starts === owner.starts && mayStart(owner) ? progress.startableSince : undefined;
  }

  /** Where do they end? One request for all; one by one when that fails, so that a broker that is down tells nothing of others' partitions. */
  async #ask(silent: readonly OwnedPartition[]): Promise<void> {
    this.#isAsking = true;
    try {
      if (await this.#askFor(silent)) return;
      for (const owner of silent) if (!this.#isClosed && silent.length > 1) await this.#askFor([owner]);
    } finally {
      this.#isAsking = false;
    }
  }

  /** Whether there was an answer. */
  async #askFor(owners: readonly OwnedPartition[]): Promise<boolean> {
    const { consumer, clock, turns } = this.#parts;
    const positions = owners.map(({ ledger }) => ledger.position);
    let ends: readonly (number | undefined)[] = [];
    let unanswered: string | undefined;
    try {
      const partitions = owners.map(({ topic, partition }) => ({ topic, partition }));
      const answer = consumer.offsetsFor(partitions, 'latest');
      answer.catch(() => {});
      if (await withTimeout(answer, ASK_MS, clock)) ends = (await answer).map(({ offset }) => offset);
      else unanswered = `no answer within ${ASK_MS} ms`;
    } catch (thrown) {
      unanswered = toError(thrown).message;
    }
    turns.run(() => {
      for (const [i, owner] of owners.entries()) {
        const progress = this.#progress.get(owner);
        if (progress === undefined) continue;
        const end = ends[i];
        const position = positions[i] ?? 0;
        progress.unanswered = unanswered;
        if (end === undefined || end <= position || owner.ledger.position !== position)
          progress.behindSince = undefined;
        else progress.behindSince ??= clock.now();
      }
    });
    return unanswered === undefined;
  }
}

function compared(before: Progress | undefined, { ledger, starts }: OwnedPartition, now: number): Progress {
  const { position, nextOffset: frontier } = ledger;
  const seen = { position, starts, frontier };
  if (before === undefined) {
    const since = { positionSince: now, frontierSince: now, startableSince: undefined };
    return { ...seen, ...since, behindSince: undefined, unanswered: undefined };
  }
  const isRead = before.position !== position;
  return {
    ...seen,
    positionSince: isRead ? now : before.positionSince,
    startableSince: undefined,
    frontierSince: before.frontier === frontier ? before.frontierSince : now,
    behindSince: isRead ? undefined : before.behindSince,
    unanswered: isRead ? undefined : before.unanswered,
  };
}

/** Whether it has records that nobody has said are to wait. */
function mayStart({ phase, isSuspended, ledger }: OwnedPartition): boolean {
  return phase === 'active' && !isSuspended && ledger.openCount > 0;
}
