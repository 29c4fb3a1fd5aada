import type { Assignment } from './assignment.ts';
import type { AssignmentHooks } from './assignment-hooks.ts';
import type { Committer } from './committer.ts';
import type { DeliverySession } from './delivery.ts';
import type { Departures } from './departures.ts';
import { IllegalStateError, PollError } from './errors.ts';
import type { EventListeners } from './events.ts';
import { StuckHandlerError } from './handler-errors.ts';
import type { AssignmentEvent, KafkaConsumer } from './kafka-client.ts';
import { isKafkaWorkerError, type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import type { StartResolver } from './start-resolver.ts';
import { Takeover } from './takeover.ts';
import type { Turns } from './turns.ts';
import { Waits } from './waits.ts';

/** What the last commit before a release gets at least, whatever the handlers have used up. */
const MIN_COMMIT_MS = 2_000;

/** What rebalances act on. */
export interface RebalanceParts {
  readonly options: ResolvedWorkerOptions;
  readonly consumer: KafkaConsumer;
  readonly session: DeliverySession;
  readonly assignment: Assignment;
  readonly committer: Committer;
  readonly starts: StartResolver;
  readonly turns: Turns;
  readonly events: EventListeners;
  readonly departures: Departures;
  readonly hooks: AssignmentHooks;
  /** What is about to start again among these goes elsewhere, or begins anew. */
  readonly forgetRestarts: (partitions: readonly TopicPartition[]) => void;
  /** Whether positions are in their logs is to be asked, until somebody answers. */
  readonly checkPositions: () => void;
  readonly fail: (error: KafkaWorkerError) => void;
}

/** Carries assignment events out, in their order, while the polling goes on: what needs the broker is awaited here, what changes the state is a turn. */
export class Rebalances {
  readonly #parts: RebalanceParts;
  readonly #waits: Waits;
  readonly #takeover: Takeover;
  #queue: Promise<void> = Promise.resolve();
  #pending = 0;
  #isClosed = false;

  constructor(parts: RebalanceParts) {
    this.#parts = parts;
    this.#waits = new Waits(parts.options.clock);
    const { options, session, committer, starts, events } = parts;
    this.#takeover = new Takeover({
      isClosed: () => this.#isClosed,
      ...{ options, session, committer, starts, events, waits: this.#waits },
    });
  }

  /** Whether events are being carried out. */
  get isUnderWay(): boolean {
    return this.#pending > 0;
  }

  /** What an assignment waits for that could not be carried out yet, and since when, in milliseconds since the epoch. */
  get waiting(): { readonly since: number; readonly error: Error } | undefined {
    return this.#takeover.waiting;
  }

  /** Called inside a turn, in the order of the events. */
  handle(event: AssignmentEvent): void {
    const owned = this.#parts.assignment.among(event.partitions);
    this.#parts.forgetRestarts(event.partitions);
    // What must not wait for the events before: nothing of these is started, or counts, any more.
    if (event.type === 'revoked') {
      if (this.#commitsReceived) this.#parts.departures.drain(owned);
      else this.#parts.departures.leave(owned);
    }
    if (event.type === 'lost') this.#lose(owned);
    this.#pending++;
    this.#queue = this.#queue
      .then(() => (event.type === 'assigned' ? this.#assigned(event.partitions) : this.#released(event)))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#pending--;
      });
  }

  /** No event is carried out from now on: the consumer answers what is open when it closes. */
  close(): void {
    this.#isClosed = true;
    this.#waits.close();
  }

  async #assigned(partitions: readonly TopicPartition[]): Promise<void> {
    const { consumer, assignment, turns, events, options } = this.#parts;
    const taken = await this.#takeover.of(partitions);
    if (taken === undefined) return;
    const { resolved, starts, gone } = taken;
    await this.#parts.hooks.assigned(starts);
    if (this.#isClosed) return;
    turns.run(() => {
      if (gone.length > 0)
        options.logger.warn('a topic was deleted while its partitions were being assigned', { partitions: gone });
      // Everything is answered: what is gone, at an offset that nothing is read from.
      consumer.assign([...resolved, ...gone.map(({ topic, partition }) => ({ topic, partition, offset: 0 }))]);
      // Those left out are not ours any more: the client will report them lost. Without an owner nothing of them is dispatched.
      assignment.beginAll(starts);
      if (starts.some(({ isUnchecked }) => isUnchecked === true)) this.#parts.checkPositions();
      if (starts.length > 0)
        events.emit('assigned', { partitions: starts.map(({ topic, partition }) => ({ topic, partition })) });
    });
  }

  #lose(owned: readonly OwnedPartition[]): void {
    if (this.#commitsReceived) this.#logUnfinished(owned);
    this.#parts.departures.abort(
      owned,
      new PollError('the partition was lost: the group has given it to another member', { retriable: true }),
    );
    this.#parts.departures.end(owned);
    if (owned.length > 0) this.#parts.session.lost?.(owned);
  }

  async #released(event: AssignmentEvent): Promise<void> {
    const { assignment, consumer, events, turns, session, options } = this.#parts;
    const startedAt = options.clock.now();
    const owned = assignment.among(event.partitions);
    if (event.type === 'revoked' && owned.length > 0) {
      const isDrained = await this.#drain(owned);
      if (this.#isClosed) return;
      const stuck = owned.filter((one) => one.phase !== 'ended' && one.runningCalls > 0);
      if (!isDrained && stuck.length > 0 && options.onStuckHandler === 'fail') {
        // Not released: whoever got it would handle the same records beside the handler that may still write.
        this.#parts.fail(new StuckHandlerError(stuck, options.clock.now() - startedAt));
        return;
      }
      for (const one of owned) one.isLetGo = true;
      const letGo = session.revoking?.(owned) ?? Promise.resolve();
      if (!(await this.#waits.within(letGo, this.#remainingMs(startedAt))) && !this.#isClosed) {
        options.logger.error('the delivery did not let go of revoked partitions in time', {
          delivery: options.delivery.name,
        });
      }
      await this.#parts.hooks.revoked(event.partitions, false, this.#remainingMs(startedAt));
    }
    if (this.#isClosed) return;
    turns.run(() => {
      // A partition that was lost meanwhile has ended already.
      const left = owned.filter((one) => one.phase !== 'ended');
      if (event.type === 'lost') this.#lose(assignment.among(event.partitions));
      else this.#parts.departures.end(left);
      consumer.release(event.partitions);
      const drainedMs = options.clock.now() - startedAt;
      if (event.partitions.length > 0)
        events.emit('revoked', { partitions: event.partitions, lost: event.type === 'lost', drainedMs });
    });
    // What was lost belongs to others already: it is let go before the hook. A revocation that found nothing owned may follow an assignment that failed.
    await this.#parts.hooks.revoked(event.partitions, event.type === 'lost', this.#remainingMs(startedAt));
  }

  /** Of the time that a revocation has, and at least what a commit needs. */
  #remainingMs(startedAt: number): number {
    const { clock, revokeDrainMs } = this.#parts.options;
    return Math.max(revokeDrainMs - (clock.now() - startedAt), MIN_COMMIT_MS);
  }

  /**
   * Waits for the handlers that run, and for what has been overtaken, then commits what they and those before them have finished. False when some have
   * not returned.
   */
  async #drain(owned: readonly OwnedPartition[]): Promise<boolean> {
    const { committer, options, departures, turns } = this.#parts;
    const { clock, revokeDrainMs, stuckAfterMs } = options;
    const deadline = clock.now() + revokeDrainMs;
    if (this.#commitsReceived) await this.#finishReceived(owned);
    // Partitions may have been assigned and revoked before this event was its turn.
    turns.run(() => departures.leave(owned));
    const idle = Promise.all(owned.map((one) => one.whenIdle()));
    // Handlers that are started to close a gap get the other half of the time.
    const isInTime = await this.#waits.within(idle, (deadline - clock.now()) / 2);
    if (!isInTime && !this.#isClosed) turns.run(() => departures.leaveGaps(owned));
    let isDrained = await this.#waits.within(idle, deadline - clock.now());
    if (!isDrained && !this.#isClosed) {
      departures.abort(
        owned,
        new IllegalStateError(`the partition was revoked, and the handler did not return within ${revokeDrainMs} ms`),
      );
      isDrained = await this.#waits.within(idle, stuckAfterMs);
    }
    // The worker has ended meanwhile, and its client is closed.
    if (this.#isClosed) return isDrained;
    await committer.commitBefore(owned, Math.max(deadline - clock.now(), MIN_COMMIT_MS), {
      isGivenUp: () => this.#isClosed,
    });
    return isDrained;
  }

  get #commitsReceived(): boolean {
    return this.#parts.options.delivery.commitsReceived === true;
  }

  /** Records that count as committed are handled while the time lasts; what is left then is lost, and said aloud. */
  async #finishReceived(owned: readonly OwnedPartition[]): Promise<void> {
    const { turns, departures, options } = this.#parts;
    const { revokeDrainMs } = options;
    turns.run(() => departures.drain(owned));
    await this.#waits.within(Promise.all(owned.map((one) => one.whenFinished())), revokeDrainMs);
    this.#logUnfinished(owned);
  }

  #logUnfinished(owned: readonly OwnedPartition[]): void {
    for (const { topic, partition, ledger, phase } of owned) {
      if (phase === 'ended' || ledger.openCount === 0) continue;
      const fields = { topic, partition, records: ledger.openCount, firstOffset: ledger.nextOffset };
      this.#parts.options.logger.error(
        'records that were committed before they were handled are lost with their partition',
        fields,
      );
    }
  }

  #failed(thrown: unknown): void {
    // The consumer was closed underneath it; what was open is answered.
    if (this.#isClosed) return;
    const error = isKafkaWorkerError(thrown)
      ? thrown
      : new PollError(`an assignment failed: ${toError(thrown).message}`, { cause: thrown });
    this.#parts.turns.run(() => this.#parts.fail(error));
  }
}
