import type { Assignment } from './assignment.ts';
import type { Departures } from './departures.ts';
import { ClientError } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import { isKafkaWorkerError, type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { Poller } from './poller.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import type { Start } from './start-offset.ts';
import type { StartResolver } from './start-resolver.ts';
import type { Turns } from './turns.ts';
import { Waits } from './waits.ts';

/**
 * Before it is asked where a partition starts, twice as long each time that this comes soon again: where two workers both believe to be its owner,
 * each needs time to get something done before the other one takes it.
 */
const WAIT_MS = 250;
const MAX_WAIT_MS = 8_000;
/** A restart that comes so long after the one before has nothing to do with it. */
const FORGET_AFTER_MS = 60_000;

/** What restarts act on. */
export interface RestartParts {
  readonly options: ResolvedWorkerOptions;
  readonly consumer: KafkaConsumer;
  readonly assignment: Assignment;
  readonly departures: Departures;
  readonly starts: StartResolver;
  readonly poller: Poller;
  readonly turns: Turns;
  readonly events: EventListeners;
  readonly fail: (error: KafkaWorkerError) => void;
}

/** A partition that is ours, and has no epoch until its delivery has said where it starts again. */
interface Restart extends TopicPartition {
  readonly reason: Error;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly wasHeldBack: boolean;
  /** Why it could not start yet. */
  lastError?: Error;
  /** 1 for one that comes by itself. */
  readonly inARow: number;
}

/**
 * Partitions that start again though they were not taken away, because the store of the delivery knows more of them than we do. Their epochs end at
 * once; the next ones begin when the delivery has said where, unless the group takes the partitions away before.
 */
export class Restarts {
  readonly #parts: RestartParts;
  readonly #waits: Waits;
  readonly #underWay = new Map<string, Restart>();
  readonly #last = new Map<string, Restart>();

  constructor(parts: RestartParts) {
    this.#parts = parts;
    this.#waits = new Waits(parts.options.clock);
  }

  underWay(): Iterable<Restart> {
    return this.#underWay.values();
  }

  /** Those that are being taken away, and all when the worker is stopping, only end. */
  restart(partitions: readonly TopicPartition[], reason: Error): void {
    const { assignment, departures, options, turns, events } = this.#parts;
    turns.run(() => {
      const owned = assignment.among(partitions);
      if (owned.length === 0) return;
      const staying = this.#waits.isClosed ? [] : owned.filter(({ isStaying }) => isStaying);
      const restarts = staying.map((one) => this.#note(one, reason));
      const ended = owned.map(({ topic, partition }) => ({ topic, partition }));
      options.logger.warn(
        'the delivery has stored other progress of partitions: what is under way of them counts no more',
        {
          partitions: ended,
          error: reason,
        },
      );
      departures.abort(owned, reason);
      departures.end(owned);
      events.emit('restarted', { partitions: ended });
      for (const one of restarts) void this.#begin(one);
    });
  }

  /** They are taken away, or assigned anew. */
  forget(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) this.#underWay.delete(nameOf(one));
  }

  /** Nothing starts again from now on. */
  close(): void {
    this.#waits.close();
  }

  #note(owned: OwnedPartition, reason: Error): Restart {
    const { topic, partition, isHeldBack } = owned;
    const since = this.#parts.options.clock.now();
    const last = this.#last.get(nameOf(owned));
    const inARow = last !== undefined && since - last.since < FORGET_AFTER_MS ? last.inARow + 1 : 1;
    const restart: Restart = { topic, partition, reason, since, wasHeldBack: isHeldBack, inARow };
    this.#underWay.set(nameOf(owned), restart);
    this.#last.set(nameOf(owned), restart);
    return restart;
  }

  #isWanted(restart: Restart): boolean {
    return !this.#waits.isClosed && this.#underWay.get(nameOf(restart)) === restart;
  }

  async #begin(restart: Restart): Promise<void> {
    try {
      const start = await this.#resolve(restart);
      if (start !== undefined) await this.#parts.poller.between(() => this.#seek(restart, start));
    } catch (thrown) {
      if (!this.#isWanted(restart)) return;
      const { topic, partition } = restart;
      const error = isKafkaWorkerError(thrown)
        ? thrown
        : new ClientError(`${topic}/${partition} could not start again: ${toError(thrown).message}`, { cause: thrown });
      this.#parts.turns.run(() => this.#parts.fail(error));
    }
  }

  /** Repeats what fails for a reason that passes. Undefined when nobody wants it any more. */
  async #resolve(restart: Restart): Promise<Start | undefined> {
    const { starts, options } = this.#parts;
    const { topic, partition, inARow } = restart;
    for (let tries = inARow; this.#isWanted(restart); tries++) {
      await this.#waits.wait(Math.min(MAX_WAIT_MS, WAIT_MS * 2 ** (tries - 1)) * (0.5 + options.random()));
      if (!this.#isWanted(restart)) break;
      try {
        const [start] = await starts.resolve([{ topic, partition }]);
        return start;
      } catch (thrown) {
        if (!isKafkaWorkerError(thrown) || !thrown.retriable) throw thrown;
        restart.lastError = thrown;
        options.logger.warn('a partition cannot start again yet', { topic, partition, error: thrown });
      }
    }
    return undefined;
  }

  /** Between two polls, so that nothing from before the seek is taken for what comes after it. */
  async #seek(restart: Restart, start: Start): Promise<void> {
    const { consumer, assignment, turns } = this.#parts;
    if (!this.#isWanted(restart)) return;
    await consumer.seek([start]);
    turns.run(() => {
      if (!this.#isWanted(restart)) return;
      this.#underWay.delete(nameOf(restart));
      if (restart.wasHeldBack) consumer.resume([start]);
      assignment.beginAll([start]);
    });
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
