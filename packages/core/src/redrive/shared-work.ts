import type { Timer } from '../clock.ts';
import { isKafkaWorkerError, toError } from '../kafka-worker-error.ts';
import type { Worker } from '../worker.ts';
import type { ResolvedRedriveOptions } from './redrive-options.ts';
import type { RedriveScope } from './redrive-scope.ts';
import type { RedriveSurvey } from './redrive-survey.ts';

const LOOK_MS = 1_000;
/** Longer than a member that was killed keeps its partitions. */
const STALLED_MS = 60_000;

/** Watches partitions that another redrive of the same group works on: this one is over when all are done, whoever did it. */
export class SharedWork {
  readonly #options: ResolvedRedriveOptions;
  readonly #survey: RedriveSurvey;
  readonly #scope: RedriveScope;
  readonly #worker: Worker;
  readonly #noticed: () => void;
  #timer: Timer | undefined;
  #isStopped = false;
  #left = Number.POSITIVE_INFINITY;
  #movedAt: number;

  constructor(
    options: ResolvedRedriveOptions,
    survey: RedriveSurvey,
    scope: RedriveScope,
    worker: Worker,
    noticed: () => void,
  ) {
    this.#options = options;
    this.#survey = survey;
    this.#scope = scope;
    this.#worker = worker;
    this.#noticed = noticed;
    this.#movedAt = options.clock.now();
  }

  watch(): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.setTimeout(() => void this.#look().finally(() => this.watch()), LOOK_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.clear();
  }

  async #look(): Promise<void> {
    // A dry run shares with nobody: its group is its own, and what others commit is none of its progress.
    if (this.#options.dryRun) return;
    try {
      // Own ones too: they may have come to us after somebody else was done with them, and then we have nothing to commit.
      const committed = await this.#survey.committed(this.#scope.open);
      for (const { partition, offset } of committed) this.#scope.found(partition, offset);
      await this.#unblock();
    } catch (thrown) {
      const error = toError(thrown);
      // The worker has clients of its own, and tells what does not pass.
      if (!isKafkaWorkerError(thrown) || !thrown.retriable)
        this.#options.logger.error('progress of the group could not be looked up', { error });
    }
    if (!this.#isStopped) this.#noticed();
  }

  /**
   * Two that started at the same time may each have seen one log end before the other did, and would wait for each other for ever: whoever is done with
   * its own partitions, and has seen nothing move for a while, goes on to where they end now.
   */
  async #unblock(): Promise<void> {
    const { left, open } = this.#scope;
    const now = this.#options.clock.now();
    const own = this.#worker.status().partitions.map(({ topic, partition }) => ({ topic, partition }));
    const hasOwnWork = open.some(({ partition }) => own.some((one) => one.partition === partition));
    if (left < this.#left || hasOwnWork) this.#movedAt = now;
    this.#left = left;
    if (own.length === 0 || now - this.#movedAt < STALLED_MS) return;
    this.#movedAt = now;
    this.#scope.extend(await this.#survey.ends(own));
    this.#left = Number.POSITIVE_INFINITY;
    this.#worker.resume();
  }
}
