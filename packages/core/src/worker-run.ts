import { MIN_HOOK_MS } from './assignment-hooks.ts';
import type { ContextServices } from './call-context.ts';
import type { DeliveryContext, DeliverySession } from './delivery.ts';
import { Engine } from './engine.ts';
import { IllegalStateError, ShutdownTimeoutError } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { HandlerCall } from './handler-call.ts';
import type { KafkaClientOptions, KafkaConsumer } from './kafka-client.ts';
import { type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import { KeptSends } from './kept-sends.ts';
import { logLateErrors } from './late-errors.ts';
import { passOutgoing } from './outgoing-plugins.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { isExplainedByRebalance } from './rebalance-errors.ts';
import type { NextOffset } from './record.ts';
import { recordLogger } from './record-logger.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import { Sender } from './sender.ts';
import type { StopOptions } from './stop-options.ts';
import { Subscription } from './subscription.ts';
import { withTimeout } from './with-timeout.ts';

/** How long handlers get to heed their aborted signals when the time is up. */
const ABORT_GRACE_MS = 500;
/** Each step that follows has a bound of its own, so that a stop ends also with every broker down. */
const COMMIT_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 10_000;
const FLUSH_TIMEOUT_MS = 5_000;
/** So many calls are named in messages. */
const NAMED_CALLS = 5;

/** What a run that has ended leaves. */
export interface RunEnd {
  readonly handled: number;
  readonly failed: number;
  readonly left: readonly NextOffset[];
  /** Whose handlers keep the client. */
  readonly stuck: readonly NextOffset[];
  readonly errors: readonly Error[];
}

/** Runs one step of the end within its bound; what goes wrong is noted, and the next step follows. */
type Attempt = (what: string, step: () => Promise<unknown>, boundMs: number) => Promise<void>;

/** One run of a worker, from connecting to the last disconnect: acquires everything in order, and gives it back in the reverse one. */
export class WorkerRun {
  readonly consumer: KafkaConsumer;
  readonly #options: ResolvedWorkerOptions;
  readonly #events: EventListeners;
  readonly #fail: (error: KafkaWorkerError) => void;
  readonly #subscription: Subscription;
  readonly #sender: Sender;
  readonly #statistics: NonNullable<KafkaClientOptions['statistics']>;
  #session: DeliverySession | undefined;
  #isEnding = false;
  engine: Engine | undefined;

  constructor(options: ResolvedWorkerOptions, events: EventListeners, fail: (error: KafkaWorkerError) => void) {
    this.#options = options;
    this.#events = events;
    this.#fail = fail;
    const { kafka, groupId, groupInstanceId, groupProtocol, clock, logger, connectTimeoutMs, plugins } = options;
    const statistics: NonNullable<KafkaClientOptions['statistics']> = (read) => {
      if (events.has('statistics')) events.emit('statistics', read());
    };
    this.#statistics = statistics;
    this.consumer = kafka.consumer({
      groupId,
      groupProtocol,
      clock,
      logger,
      statistics,
      reading: (choice) => events.emit('reading', choice),
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
    });
    this.#subscription = new Subscription(this.consumer, options.topics, clock, logger);
    this.#sender = new Sender({
      makeProducer: () => kafka.producer({ clock, logger, statistics }),
      connect: { timeoutMs: connectTimeoutMs },
      pass: passOutgoing(plugins),
      acknowledged: (call) => this.engine?.turns.run(() => this.engine?.dispatcher.acknowledged(call)),
    });
  }

  /** Resolves when records are polled; `engineMade` is told before any are. */
  async start(signal: AbortSignal | undefined, engineMade: () => void): Promise<void> {
    const { kafka, groupId, clock, logger, connectTimeoutMs, plugins, delivery } = this.#options;
    const { consumer } = this;
    await consumer.connect({ timeoutMs: connectTimeoutMs, ...(signal === undefined ? {} : { signal }) });
    const restart: DeliveryContext['restart'] = (partitions, reason) =>
      this.engine?.restarts.restart(partitions, reason);
    const session = await delivery.open({
      ...{ kafka, groupId, consumer, clock, logger, connectTimeoutMs, restart },
      statistics: this.#statistics,
    });
    if (this.#isEnding) {
      // Whoever ended the run did not wait for this any longer.
      await session.close();
      throw new IllegalStateError('the worker was stopped while its delivery opened');
    }
    this.#session = session;
    const { inFlightBytes } = this.#options.limits;
    const keptSends =
      session.check === undefined
        ? undefined
        : new KeptSends({
            check: session.check.bind(session),
            pass: passOutgoing(plugins),
            maxBytes: inFlightBytes,
          });
    const sends: Pick<ContextServices, 'send'> = keptSends ?? this.#sender;
    this.engine = new Engine({
      write: async (message, item) =>
        keptSends === undefined ? this.#sender.write(message, item.record) : keptSends.write(message, item),
      context: {
        send: (call, item, message) => {
          const { name, refusesSends } = delivery;
          if (refusesSends !== undefined)
            throw new IllegalStateError(`context.send does not go with ${name}: ${refusesSends}`);
          sends.send(call, item, message);
        },
        logFor: (record, attempt) =>
          plugins.reduce(
            (log, plugin) => plugin.logFor?.(record, log, attempt) ?? log,
            recordLogger(logger, record, attempt),
          ),
      },
      ...{ options: this.#options, consumer, session, keptSends, subscription: this.#subscription },
      ...{ events: this.#events, fail: this.#fail },
    });
    engineMade();
    signal?.throwIfAborted();
    await this.#subscription.start();
    signal?.throwIfAborted();
    this.engine.poller.start();
    this.engine.progress.start();
  }

  /** Lets running handlers end, commits, leaves the group and closes everything. Never rejects; takes at most the time plus the steps' own bounds. */
  async end({ mode, timeoutMs, leaveGroup }: Required<StopOptions>): Promise<RunEnd> {
    const errors: Error[] = [];
    const attempt = this.#attempts(errors);
    this.#isEnding = true;
    this.#subscription.close();
    const { engine } = this;
    const { clock, delivery } = this.#options;
    const startedAt = clock.now();
    if (engine !== undefined) {
      await this.#drain(engine, mode, timeoutMs, errors);
      const remaining = (): number => timeoutMs - (clock.now() - startedAt);
      const commit = async (found: Error[]): Promise<void> => {
        // Much may have been sent that is not written yet; offsets alone are a moment's work, or cannot be committed at all.
        const commitMs = engine.keepsSends ? Math.max(remaining(), COMMIT_TIMEOUT_MS) : COMMIT_TIMEOUT_MS;
        const commitNow = (): Promise<void> => commitAll(engine, commitMs);
        await this.#attempts(found)('the last commit', commitNow, commitMs + COMMIT_TIMEOUT_MS);
      };
      // What it cannot commit the next one may, and that one says so if not.
      await commit([]);
      if (delivery.commitsReceived === true) this.#logLost(engine);
      const kept = await this.#endHooks(engine, Math.max(remaining(), MIN_HOOK_MS), attempt);
      // Handlers may have returned while the hook was awaited.
      await commit(errors);
      if (kept.length > 0 && this.#stuck(engine).length === 0) await this.#endHooks(engine, MIN_HOOK_MS, attempt);
    }
    const stuck = engine === undefined ? [] : this.#stuck(engine);
    const end = {
      handled: engine?.outcomes.handled ?? 0,
      failed: engine?.outcomes.failed ?? 0,
      left: engine?.windDown.left() ?? [],
      stuck: stuck.map(({ received: { topic, partition, offset } }) => ({ topic, partition, offset })),
    };
    if (engine !== undefined && stuck.length > 0) this.#closeWhenReturned(engine, stuck, leaveGroup);
    else await this.#close(leaveGroup, attempt);
    return { ...end, errors };
  }

  #attempts(errors: Error[]): Attempt {
    return async (what, step, boundMs) => {
      try {
        const inTime = await withTimeout(step(), boundMs, this.#options.clock);
        if (!inTime) errors.push(new ShutdownTimeoutError(`${what} did not end within ${boundMs} ms`));
      } catch (error) {
        errors.push(toError(error));
      }
    };
  }

  /** Handlers that may still write, where that keeps their partitions. */
  #stuck(engine: Engine): readonly HandlerCall[] {
    return this.#options.onStuckHandler === 'release' ? [] : engine.windDown.unreturned();
  }

  /** Gives the partitions that are kept still, of which the hooks were not told. */
  async #endHooks(engine: Engine, timeoutMs: number, attempt: Attempt): Promise<readonly OwnedPartition[]> {
    const kept = this.#stuck(engine).flatMap((call) => call.owners());
    // It waits for a hook that runs, then for its own.
    await attempt('onRevoked', () => engine.hooks.ended(timeoutMs, kept), timeoutMs + 2 * MIN_HOOK_MS);
    return kept;
  }

  async #close(leaveGroup: boolean, attempt: Attempt): Promise<void> {
    const { engine } = this;
    engine?.rebalances.close();
    await attempt('closing the delivery', async () => this.#session?.close(), CLOSE_TIMEOUT_MS);
    const poller = engine?.poller.close();
    await attempt('leaving the group', () => this.consumer.close({ leaveGroup }), CLOSE_TIMEOUT_MS);
    await attempt('the last poll', async () => poller, CLOSE_TIMEOUT_MS);
    await attempt('sending what is left', () => this.#sender.close(FLUSH_TIMEOUT_MS), 2 * FLUSH_TIMEOUT_MS);
  }

  /**
   * Handlers that ignore their aborted signals may still write. Whoever got their partitions would handle the same records beside them, so the
   * membership is kept, behind the back of whoever stopped the worker, until they have returned, the partitions are lost, or the process has ended.
   */
  #closeWhenReturned(engine: Engine, stuck: readonly HandlerCall[], leaveGroup: boolean): void {
    const { logger } = this.#options;
    const calls = stuck.map(placeOf);
    logger.error(
      'handlers ignore their aborted signals: their partitions are kept until they return, or the process ends',
      {
        calls: calls.slice(0, NAMED_CALLS),
        count: calls.length,
      },
    );
    void engine.windDown.whenReturned().then(async () => {
      const errors: Error[] = [];
      const attempt = this.#attempts(errors);
      // What the policy decides about them is carried out first: a dead letter that came after the last commit would be written again by the successor.
      await withTimeout(engine.windDown.whenQuiet(), ABORT_GRACE_MS, this.#options.clock);
      await attempt('the last commit', () => commitAll(engine, COMMIT_TIMEOUT_MS), 2 * COMMIT_TIMEOUT_MS);
      await this.#endHooks(engine, MIN_HOOK_MS, attempt);
      await this.#close(leaveGroup, attempt);
      logLateErrors(errors, logger);
      logger.info('the last handler has returned, and the worker is closed', { count: calls.length });
    });
  }

  async #drain(engine: Engine, mode: 'in-flight' | 'drain', timeoutMs: number, errors: Error[]): Promise<void> {
    engine.stopIntake();
    // What counts as committed already is handled in either mode, with its retries.
    const commitsReceived = this.#options.delivery.commitsReceived === true;
    if (commitsReceived) engine.windDown.releasePaused();
    else engine.stopRetries();
    const isInFlight = mode === 'in-flight' && !commitsReceived;
    if (isInFlight) engine.windDown.finishGaps();
    engine.windDown.stopFilling();
    const quiet = engine.windDown.whenQuiet();
    // Handlers that are started to close a gap get the other half of the time.
    const gapMs = isInFlight ? timeoutMs / 2 : 0;
    if (isInFlight && !(await withTimeout(quiet, gapMs, this.#options.clock))) engine.windDown.stopDispatch();
    if (!(await withTimeout(quiet, timeoutMs - gapMs, this.#options.clock))) {
      engine.windDown.stopDispatch();
      const running = [...engine.dispatcher.running()].map(placeOf);
      const more = running.length - NAMED_CALLS;
      const names = running.slice(0, NAMED_CALLS).join(', ') + (more > 0 ? ` and ${more} more` : '');
      const what =
        running.length === 0
          ? 'what has failed still waiting to be tried or written again'
          : `${running.length} handler calls still running: ${names}`;
      const error = new ShutdownTimeoutError(`the stop's ${timeoutMs} ms were up with ${what}`);
      errors.push(error);
      engine.windDown.abortAll(error);
      await withTimeout(quiet, ABORT_GRACE_MS, this.#options.clock);
    }
    // A poll that was under way may still bring records: they are left.
    engine.windDown.stopDispatch();
    engine.stopRetries();
    engine.deadlines.stop();
    engine.committer.close();
  }

  #logLost(engine: Engine): void {
    for (const left of engine.windDown.left())
      this.#options.logger.error('records that were committed before they were handled are lost', { ...left });
  }
}

async function commitAll(engine: Engine, timeoutMs: number): Promise<void> {
  const error = await engine.committer.commitBefore([...engine.assignment], timeoutMs, { isLast: true });
  if (error !== undefined && !isExplainedByRebalance(error)) throw error;
}

function placeOf({ received: { topic, partition, offset } }: HandlerCall): string {
  return `${topic}/${partition} offset ${offset}`;
}
