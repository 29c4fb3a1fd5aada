import type { Committer } from './committer.ts';
import type { DeliverySession } from './delivery.ts';
import { CommitError, type CommitFailure } from './errors.ts';
import type { EventListeners } from './events.ts';
import { isKafkaWorkerError } from './kafka-worker-error.ts';
import { isOfAnother, isRebalanceUnderWay } from './rebalance-errors.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import type { Start } from './start-offset.ts';
import type { StartResolver } from './start-resolver.ts';
import type { Waits } from './waits.ts';

const RETRY_MS = 250;
/** After so many tries it is asked whether what is assigned exists at all, and not waited any longer for partitions that have no leader. */
const TRIES_BEFORE_DOUBT = 5;

/** What taking partitions over needs. */
export interface TakeoverParts {
  readonly options: Pick<ResolvedWorkerOptions, 'random' | 'logger' | 'clock'>;
  readonly session: DeliverySession;
  readonly committer: Committer;
  readonly starts: StartResolver;
  readonly events: EventListeners;
  readonly waits: Waits;
  /** Nothing is taken over any more. */
  readonly isClosed: () => boolean;
}

/** How partitions can be begun. */
export interface Taken {
  /** Those that exist, with where they start. */
  readonly resolved: readonly Start[];
  /** Those of them that are ours still: a refused commit may be the first to tell that some are not. */
  readonly starts: readonly Start[];
  /** Those whose topic was deleted meanwhile. */
  readonly gone: readonly TopicPartition[];
}

/** Where assigned partitions start: looked up, and committed where no commit stands for it, for as long as that fails for a reason that passes. */
export class Takeover {
  readonly #parts: TakeoverParts;
  /** What an assignment waits for, and since when. */
  waiting: { readonly since: number; readonly error: Error } | undefined;

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
  }

  /** Undefined when the worker closes before. Rejects with what does not pass. */
  async of(partitions: readonly TopicPartition[]): Promise<Taken | undefined> {
    const { starts: resolver } = this.#parts;
    let existing = partitions;
    const resolved = await this.#untilItSucceeds(async (tries) => {
      if (tries > TRIES_BEFORE_DOUBT) existing = await resolver.existing(partitions);
      return resolver.resolve(existing, tries > TRIES_BEFORE_DOUBT);
    });
    if (resolved === undefined) return undefined;
    const starts = await this.#commitStarts(resolved);
    if (starts === undefined || this.#parts.isClosed()) return undefined;
    return { resolved, starts, gone: partitions.filter((one) => !existing.includes(one)) };
  }

  /** Starts that no commit stands for are committed before anything is dispatched, so that a crash cannot jump. Gives those that are ours still. */
  async #commitStarts(resolved: readonly Start[]): Promise<readonly Start[] | undefined> {
    const { committer, session, events, waits, isClosed } = this.#parts;
    const isCommitted = (start: Start): boolean => start.committedOffset === start.offset;
    const starts = resolved.filter(isCommitted);
    let open = resolved.filter((start) => !isCommitted(start));
    // A transaction is refused as a whole, also for the sake of one partition, and also to a member that is about to hear of its next epoch.
    const isWhole = session.check !== undefined;
    let isAlone = false;
    const commit = async (): Promise<void> => {
      while (open.length > 0 && !isClosed()) {
        const asked = isAlone ? open.slice(0, 1) : open;
        const offsets = asked.map(({ topic, partition, offset, metadata }) => ({ topic, partition, offset, metadata }));
        let failures: readonly CommitFailure[] = [];
        try {
          await session.commit({ partitions: offsets });
        } catch (error) {
          if (isKafkaWorkerError(error)) events.emit('commit-failed', { offsets, error });
          if (!(error instanceof CommitError) || !error.failures.some(isOfAnother)) throw error;
          if (isWhole && !isAlone) {
            // Those that are ours still would be left out with the others, and no event would ever tell.
            isAlone = true;
            await waits.wait(RETRY_MS);
            continue;
          }
          failures = error.failures;
        }
        const failed = new Map(failures.map((one) => [`${one.topic}/${one.partition}`, one]));
        const failureOf = ({ topic, partition }: Start): CommitFailure | undefined =>
          failed.get(`${topic}/${partition}`);
        for (const start of asked) if (failureOf(start) === undefined) starts.push(committedAt(start));
        open = open.filter((start) => {
          const failure = failureOf(start);
          return !asked.includes(start) || (failure !== undefined && !isOfAnother(failure));
        });
      }
    };
    if (open.length > 0) {
      const isDone = await this.#untilItSucceeds(() => committer.alone(commit).then(() => true));
      if (isDone === undefined) return undefined;
    }
    return starts;
  }

  /** Repeats what fails for a reason that passes. Undefined when the worker closes before it succeeds. */
  async #untilItSucceeds<T>(attempt: (tries: number) => Promise<T>): Promise<T | undefined> {
    const { options, waits, isClosed } = this.#parts;
    let since: number | undefined;
    for (let tries = 1; !isClosed(); tries++) {
      try {
        const result = await attempt(tries);
        this.waiting = undefined;
        return result;
      } catch (thrown) {
        this.waiting = undefined;
        const isRetriable = isKafkaWorkerError(thrown) && (thrown.retriable || isRebalanceUnderWay(thrown));
        if (!isRetriable) throw thrown;
        since ??= options.clock.now();
        this.waiting = { since, error: thrown };
        if (tries === 5) options.logger.warn('an assignment waits for the broker', { error: thrown });
        await waits.wait(RETRY_MS * Math.min(tries, 8) * (0.5 + options.random()));
      }
    }
    return undefined;
  }
}

function committedAt(start: Start): Start {
  return { ...start, committedOffset: start.offset };
}
