import type { Assignment } from './assignment.ts';
import type { Committer } from './committer.ts';
import type { EventListeners } from './events.ts';
import type { Intake } from './intake.ts';
import type { Poll } from './kafka-client.ts';
import type { KafkaWorkerError } from './kafka-worker-error.ts';
import type { Logger } from './logger.ts';
import type { Rebalances } from './rebalances.ts';
import type { ReceivedRecord } from './record.ts';
import type { Repositioning } from './repositioning.ts';

/** What polls arrive in. */
export interface ArrivalsParts {
  readonly assignment: Assignment;
  readonly rebalances: Rebalances;
  readonly intake: Intake;
  readonly committer: Committer;
  readonly repositioning: Repositioning;
  readonly events: EventListeners;
  readonly logger: Logger;
  /** The client cannot go on. */
  readonly fail: (error: KafkaWorkerError) => void;
}

/** What a poll brings, each to its room: first who owns what, then the records, then positions behind gaps in the log, then what went wrong. */
export class Arrivals {
  readonly #parts: ArrivalsParts;

  constructor(parts: ArrivalsParts) {
    this.#parts = parts;
  }

  /** Called inside a turn. */
  receive(poll: Poll): void {
    const { rebalances, assignment, committer } = this.#parts;
    for (const event of poll.events) rebalances.handle(event);
    if (poll.records.length > 0) this.#receiveRecords(poll.records);
    for (const position of poll.positions) {
      const owner = assignment.get(position);
      if (owner === undefined || owner.phase !== 'active') continue;
      owner.advancePosition(position);
      committer.noteProgress(0);
    }
    for (const error of poll.errors) this.#clientFailed(error);
  }

  #receiveRecords(records: readonly ReceivedRecord[]): void {
    const { committer, intake, events } = this.#parts;
    committer.noteActivity();
    const bytes = intake.receive(records);
    if (events.has('polled')) events.emit('polled', { records: records.length, bytes });
  }

  #clientFailed(error: KafkaWorkerError): void {
    const { events, logger, repositioning, fail } = this.#parts;
    if (events.has('error')) events.emit('error', { error });
    if (error.code === 'OFFSET_OUT_OF_RANGE') repositioning.check();
    else if (error.retriable) logger.warn('the Kafka client reports a problem', { error });
    else fail(error);
  }
}
