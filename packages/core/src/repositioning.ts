import type { Assignment } from './assignment.ts';
import type { Committer } from './committer.ts';
import type { Departures } from './departures.ts';
import { ClientError, IllegalStateError, type KafkaWorkerError } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { KafkaConsumer } from './kafka-client.ts';
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

/** Partitions that go on from another offset, because somebody asked for it or their position is no longer in the log. Always between two polls. */
export class Repositioning {
  readonly #parts: RepositioningParts;
  readonly #check: PositionCheck;
  readonly #waits: Waits;

  constructor(parts: RepositioningParts) {
    const { options, consumer, assignment, fail } = parts;
    this.#parts = parts;
    this.#waits = new Waits(options.clock);
    this.#check = new PositionCheck({ options, consumer, assignment, seek: (to) => this.#seek(to), fail });
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

  /** Compares positions with the logs, soon, and again as long as the broker does not answer. */
  check(): void {
    const check = async (): Promise<void> => {
      if (await this.#check.check()) return;
      void this.#waits.wait(RECHECK_MS).then(() => this.check());
    };
    // Not done when the worker is stopping; nothing is lost by that.
    if (!this.#waits.isClosed) this.#parts.poller.between(check).catch(() => {});
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
