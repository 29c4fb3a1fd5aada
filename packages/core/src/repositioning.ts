import type { Assignment } from './assignment.ts';
import type { Committer } from './committer.ts';
import type { Departures } from './departures.ts';
import { ClientError, IllegalStateError } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import type { KafkaWorkerError } from './kafka-worker-error.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { Poller } from './poller.ts';
import { PositionCheck } from './position-check.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import type { Turns } from './turns.ts';
import { Waits } from './waits.ts';

/** How soon positions are looked at again when the broker did not answer. */
const RECHECK_MS = 1_000;
/** What a commit before a seek gets, and how often there may be something new to commit after it. */
const COMMIT_MS = 5_000;
const MAX_COMMITS = 3;

/** What repositioning acts on. */
export interface RepositioningParts {
  readonly options: ResolvedWorkerOptions;
  readonly consumer: KafkaConsumer;
  readonly assignment: Assignment;
  readonly departures: Departures;
  readonly committer: Committer;
  /** What is finished has to be committed before it is forgotten, for its messages are written with that. */
  readonly commitsSends: boolean;
  readonly poller: Poller;
  readonly turns: Turns;
  readonly events: EventListeners;
  readonly fail: (error: KafkaWorkerError) => void;
}

/** Partitions that go on from another offset, because somebody asked for it or their position is no longer in the log. They move between two polls. */
export class Repositioning {
  readonly #parts: RepositioningParts;
  readonly #check: PositionCheck;
  readonly #waits: Waits;
  #isChecking = false;
  /** Also while one is under way: it may have asked before there was a reason. */
  #isCheckWanted = false;

  constructor(parts: RepositioningParts) {
    const { options, consumer, assignment, fail } = parts;
    this.#parts = parts;
    this.#waits = new Waits(options.clock);
    this.#check = new PositionCheck({
      betweenPolls: (run) => parts.poller.between(run),
      seek: (to) => this.#seek(to),
      isClosed: () => this.#waits.isClosed,
      ...{ options, consumer, assignment, fail },
    });
  }

  /** What was received of the partition is forgotten, and results that still come back are dropped. */
  seek(to: TopicPartition & { readonly offset: number }): Promise<void> {
    return this.#parts.poller.between(() => this.#seek(to));
  }

  async #commit(owned: OwnedPartition): Promise<void> {
    const { topic, partition } = owned;
    // What is finished while it is being committed is committed too; but not for ever.
    for (let tries = 0; tries < MAX_COMMITS && owned.isStaying && owned.progress() !== undefined; tries++) {
      const error = await this.#parts.committer.commitBefore([owned], COMMIT_MS);
      if (error !== undefined) throw error;
    }
    if (!owned.isStaying) throw new IllegalStateError(`${topic}/${partition} was taken away before it could be sought`);
  }

  /**
   * Compares positions with the logs, now, and again as long as the broker does not answer. Records are polled and handled meanwhile: it may be away for
   * hours, and only for some partitions.
   */
  check(): void {
    this.#isCheckWanted = true;
    if (!this.#isChecking) void this.#checkUntilAnswered();
  }

  async #checkUntilAnswered(): Promise<void> {
    this.#isChecking = true;
    while (this.#isCheckWanted && !this.#waits.isClosed) {
      this.#isCheckWanted = false;
      if (await this.#check.check()) continue;
      this.#isCheckWanted = true;
      await this.#waits.wait(RECHECK_MS);
    }
    this.#isChecking = false;
  }

  /** No position is looked at any more. */
  close(): void {
    this.#waits.close();
  }

  async #seek(to: TopicPartition & { readonly offset: number }): Promise<void> {
    const { topic, partition, offset } = to;
    const { assignment, consumer, committer, departures, turns, events, fail } = this.#parts;
    const owned = assignment.get(to);
    if (owned?.isStaying !== true) {
      throw new IllegalStateError(`${topic}/${partition} was taken away before it could be sought`);
    }
    if (this.#parts.commitsSends) await this.#commit(owned);
    // Asked before it ends: an ended one is held back by nothing any more.
    const wasHeldBack = owned.isHeldBack;
    turns.run(() => {
      departures.abort([owned], new ClientError('the partition was sought to another offset'));
      departures.end([owned]);
      events.emit('restarted', { partitions: [{ topic, partition }] });
    });
    try {
      await consumer.seek([to]);
    } catch (thrown) {
      // Where the client reads on from is not known any more: only a new start from the committed offset is safe.
      fail(new ClientError(`${topic}/${partition} could not be sought to ${offset}`, { cause: thrown }));
      throw thrown;
    }
    turns.run(() => {
      if (wasHeldBack) consumer.resume([to]);
      // What is committed is not known: a commit of the epoch before may be under way.
      assignment.begin({ topic, partition, offset, metadata: owned.commitMetadata }, undefined);
      committer.noteProgress(0);
    });
  }
}
