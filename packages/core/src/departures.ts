import type { Assignment } from './assignment.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { HandlerCall } from './handler-call.ts';
import type { HandlerDeadlines } from './handler-deadlines.ts';
import type { Intake } from './intake.ts';
import type { Lanes } from './lanes.ts';
import type { Outcomes } from './outcomes.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';
import type { Suspensions } from './suspensions.ts';

/** What departures act on. */
export interface DepartureParts {
  readonly assignment: Assignment;
  readonly intake: Intake;
  readonly lanes: Lanes<HandlerCall>;
  readonly suspensions: Suspensions;
  readonly outcomes: Outcomes;
  readonly dispatcher: Dispatcher;
  readonly deadlines: HandlerDeadlines;
}

/** What becomes of a partition's records when it goes: everywhere at once, so that nothing of it is left behind. */
export class Departures {
  readonly #parts: DepartureParts;

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /** Nothing of these starts any more; what runs goes on. */
  leave(partitions: readonly OwnedPartition[]): void {
    const { assignment, intake } = this.#parts;
    for (const owned of partitions) if (owned.phase === 'active') owned.phase = 'leaving';
    const forgotten = this.#forgetQueued();
    // Nobody waits for these any more, so they take no room from partitions that stay.
    for (const owned of partitions) {
      if (owned.phase !== 'leaving') continue;
      const own = forgotten.filter((record) => assignment.ownerOf(record) === owned);
      const bytes = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      intake.setAside(owned, 'suspended', { records: own.length, bytes });
    }
  }

  /** What was received of these is finished before they leave. */
  drain(partitions: readonly OwnedPartition[]): void {
    for (const owned of partitions) {
      owned.isDraining = true;
      this.#parts.suspensions.release(owned, 'paused');
    }
  }

  /** Their epochs are over. */
  end(partitions: readonly OwnedPartition[]): void {
    const { intake, assignment } = this.#parts;
    for (const owned of partitions) {
      if (owned.phase === 'ended') continue;
      intake.ended(owned);
      assignment.end(owned);
    }
    this.#forgetQueued();
  }

  /** Handlers that run with a record of these are asked to return. */
  abort(partitions: readonly OwnedPartition[], reason: Error): void {
    const { dispatcher, deadlines } = this.#parts;
    for (const call of [...dispatcher.running()]) {
      if (!call.owners().some((owner) => partitions.includes(owner))) continue;
      call.abort(reason);
      deadlines.aborted(call);
    }
  }

  /** Records that nobody will dispatch leave the lanes, and those that wait for something else too. */
  #forgetQueued(): readonly ReceivedRecord[] {
    const { lanes, assignment, outcomes } = this.#parts;
    const forgotten = lanes.extract((record) => assignment.ownerOf(record)?.phase !== 'active');
    outcomes.dropLeaving();
    return forgotten;
  }
}
