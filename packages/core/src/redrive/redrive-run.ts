import { randomUUID } from 'node:crypto';
import type { ConcurrencyStrategy } from '../concurrency.ts';
import { atLeastOnceDelivery } from '../defaults.ts';
import type { Delivery } from '../delivery.ts';
import type { FailurePolicy } from '../failure.ts';
import type { HandlerContext } from '../handler.ts';
import { toError } from '../kafka-worker-error.ts';
import type { KafkaRecord } from '../record.ts';
import { Worker } from '../worker.ts';
import type { RedriveSummary, ResolvedRedriveOptions } from './redrive-options.ts';
import { RedriveScope } from './redrive-scope.ts';
import { RedriveSurvey } from './redrive-survey.ts';
import { RedriveWriter } from './redrive-writer.ts';
import { SharedWork } from './shared-work.ts';

/** What a kill makes the next run repeat is what was written since the last commit: so commits are frequent. */
const COMMIT = { everyMs: 100, everyRecords: 100 };
/** Polled and not finished, for each write at once: enough that writing never waits for reading. */
const IN_FLIGHT_PER_WRITE = 10;
const FLUSH_TIMEOUT_MS = 5_000;
const HELD_MS = 1_000;

/** Thrown by the handler for a record that is not to be sent, or not now: it stays where it is, and its offset is not committed. */
const held = new Error('not sent by this redrive');

const heldOrStop: FailurePolicy = {
  kind: 'failure',
  name: 'redrive',
  may: ['retry', 'stop'],
  decide: ({ error }) => (error === held ? { do: 'retry', afterMs: HELD_MS } : { do: 'stop' }),
};

/**
 * One redrive, on a worker: that commits the contiguous frontier of what the handler has finished, and the handler is finished with a record when its
 * write is acknowledged. What the worker may not send (behind the scope, above the limit) is held, and its partition paused.
 */
export class RedriveRun {
  readonly #options: ResolvedRedriveOptions;
  readonly #survey: RedriveSurvey;
  readonly #writer: RedriveWriter;
  readonly #targets = new Map<string, number>();
  #scope: RedriveScope;
  #worker: Worker | undefined;
  /** Sent, or to be sent: never more than the limit. */
  #taken = 0;
  #sent = 0;
  /** Which one was begun first of those that failed: what was begun before it goes on, nothing else does. */
  #failedAt = Number.POSITIVE_INFINITY;
  #begun = 0;
  #endedBy: RedriveSummary['endedBy'] | undefined;
  #end: () => void = () => {};

  constructor(options: ResolvedRedriveOptions) {
    this.#options = options;
    this.#survey = new RedriveSurvey(options);
    this.#writer = new RedriveWriter(options, this.#survey);
    this.#scope = new RedriveScope(options.from, []);
  }

  async run(): Promise<RedriveSummary> {
    const { signal } = this.#options;
    const interrupt = (): void => this.#endWith('signal');
    signal?.addEventListener('abort', interrupt);
    if (signal?.aborted === true) interrupt();
    try {
      await this.#prepare();
      this.#options.onProgress(this.#progress);
      if (this.#scope.isDone) this.#endWith('end');
      if (this.#endedBy === undefined) await this.#work();
    } catch (error) {
      if (this.#endedBy !== 'signal' || this.#worker !== undefined) throw error;
      // Only the connecting was interrupted.
    } finally {
      signal?.removeEventListener('abort', interrupt);
      await Promise.all([this.#writer.close(FLUSH_TIMEOUT_MS), this.#survey.close()]);
    }
    const targets = Object.fromEntries(this.#targets);
    // The last writes before an interruption may have been the last that there were.
    const isThrough = this.#scope.isDone && this.#scope.total > 0;
    return { ...this.#progress, targets, endedBy: isThrough ? 'end' : (this.#endedBy ?? 'end') };
  }

  get #progress(): { sent: number; total: number; left: number } {
    return { sent: this.#sent, total: this.#scope.total, left: this.#scope.left };
  }

  async #prepare(): Promise<void> {
    if (this.#endedBy !== undefined) return;
    const { to, connectTimeoutMs, signal } = this.#options;
    await this.#survey.connect();
    this.#scope = await this.#survey.scope();
    if (to !== undefined) await this.#survey.partitionCount(to);
    if (!this.#scope.isDone) await this.#writer.connect(connectTimeoutMs, signal);
  }

  /** @throws what ended the worker */
  async #work(): Promise<void> {
    const worker = this.#makeWorker();
    this.#worker = worker;
    const shared = new SharedWork(this.#options, this.#survey, this.#scope, worker, () => this.#noteProgress());
    worker.on('committed', ({ offsets }) => {
      for (const offset of offsets) this.#scope.committed(offset);
      this.#noteProgress();
    });
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
      if (this.#endedBy !== undefined) resolve();
    });
    const { signal } = this.#options;
    let failure: Error | undefined;
    try {
      await worker.start(signal === undefined ? {} : { signal });
      shared.watch();
      await Promise.race([ended, worker.finished]);
    } catch (thrown) {
      failure = toError(thrown);
    }
    shared.stop();
    const { error } = await worker.stop();
    if (error !== undefined) throw error;
    // A start that was interrupted rejects, and nothing is wrong.
    if (failure !== undefined && this.#endedBy !== 'signal') throw failure;
  }

  #makeWorker(): Worker {
    const { kafka, from, groupId, dryRun, concurrency, perSecond, clock, logger, connectTimeoutMs } = this.#options;
    return new Worker({
      ...{ kafka, clock, logger, connectTimeoutMs, topics: from, commit: COMMIT, onFailure: heldOrStop },
      groupId: dryRun ? `${groupId}.dry-run.${randomUUID()}` : groupId,
      concurrency: asFastAs(dryRun ? undefined : perSecond),
      delivery: dryRun ? withoutCommits(this.#scope) : atLeastOnceDelivery,
      // What is no longer in the log cannot be sent by anybody; the worker logs that the position moves.
      onOffsetOutOfRange: 'earliest',
      limits: { inFlightRecords: IN_FLIGHT_PER_WRITE * concurrency },
      handler: (record, context) => this.#handle(record, context),
    });
  }

  async #handle(record: KafkaRecord, { signal }: HandlerContext): Promise<void> {
    const begun = this.#begun++;
    this.#mayTake(record, begun);
    this.#taken++;
    try {
      const message = await this.#writer.write(record, signal, () => this.#mayWrite(begun));
      this.#sent++;
      this.#targets.set(message.topic, (this.#targets.get(message.topic) ?? 0) + 1);
      this.#options.onSent(message, record);
    } catch (error) {
      this.#untake();
      if (error !== held && !signal.aborted) this.#failedAt = Math.min(this.#failedAt, begun);
      throw error;
    }
    this.#noteProgress();
  }

  #mayTake(record: KafkaRecord, begun: number): void {
    this.#mayWrite(begun);
    if (!this.#scope.has(record)) {
      this.#worker?.pause([record]);
      throw held;
    }
    if (this.#taken >= this.#options.limit) {
      this.#worker?.pause();
      throw held;
    }
  }

  #mayWrite(begun: number): void {
    if (begun > this.#failedAt || this.#endedBy !== undefined) throw held;
  }

  /** Its partition went to somebody else: another one may take its place within the limit. */
  #untake(): void {
    const wasAtLimit = this.#taken === this.#options.limit;
    this.#taken--;
    if (wasAtLimit) this.#worker?.resume();
  }

  #noteProgress(): void {
    this.#options.onProgress(this.#progress);
    if (this.#scope.isDone) this.#endWith('end');
    else if (this.#sent >= this.#options.limit) this.#endWith('limit');
  }

  #endWith(by: RedriveSummary['endedBy']): void {
    this.#endedBy ??= by;
    this.#end();
  }
}

/** Every record at once: the writer bounds what is written at once. */
function asFastAs(perSecond: number | undefined): ConcurrencyStrategy {
  const every = Number.POSITIVE_INFINITY;
  return {
    kind: 'concurrency',
    name: 'redrive',
    lanes: {
      ...{ by: 'all', active: every, inside: { width: every, unordered: true } },
      ...(perSecond === undefined ? {} : { startsPerSecond: perSecond }),
    },
  };
}

/** Goes on where the group stands, and leaves it there. */
function withoutCommits(scope: RedriveScope): Delivery {
  return {
    kind: 'delivery',
    name: 'dryRun',
    open: () =>
      Promise.resolve({
        startOffsets: (partitions) =>
          Promise.resolve(
            scope.starts.filter((one) => partitions.some(({ partition }) => partition === one.partition)),
          ),
        commit: () => Promise.resolve(),
        close: () => Promise.resolve(),
      }),
  };
}
