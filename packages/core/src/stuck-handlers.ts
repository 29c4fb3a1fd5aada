import type { EventListeners } from './events.ts';
import type { HandlerCall } from './handler-call.ts';
import { StuckHandlerError } from './handler-errors.ts';
import type { KafkaWorkerError } from './kafka-worker-error.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';

/** What stuck handlers act on. */
export interface StuckHandlersParts {
  readonly options: Pick<ResolvedWorkerOptions, 'logger' | 'onStuckHandler'>;
  readonly events: EventListeners;
  /** Gives the call's slot back while its handler still runs. */
  readonly release: (call: HandlerCall) => void;
  readonly fail: (error: KafkaWorkerError) => void;
}

/** What becomes of a handler that ignores its aborted signal: its slot is given up, or the worker is. */
export class StuckHandlers {
  readonly #parts: StuckHandlersParts;

  constructor(parts: StuckHandlersParts) {
    this.#parts = parts;
  }

  found(call: HandlerCall, waitedMs: number): void {
    const { options, events, release, fail } = this.#parts;
    const { topic, partition, offset } = call.received;
    const fields = { topic, partition, offset, waitedMs, then: options.onStuckHandler };
    options.logger.error('a handler ignores its aborted signal', fields);
    events.emit('stuck', { topic, partition, offset, waitedMs });
    const owners = call.owners();
    // Of a partition that is gone already only the slot is left to be saved; of one that is being revoked `rebalances.ts` ends the worker.
    if (options.onStuckHandler === 'release' || owners.every(({ phase }) => phase === 'ended')) release(call);
    // It was told to return for the sake of a partition that is lost: nobody waits for it on behalf of the others.
    else if (!call.isTakenAway || owners.some(({ phase }) => phase === 'ended'))
      fail(new StuckHandlerError(owners, waitedMs, 'timed out'));
  }
}
