import { IllegalStateError } from './errors.ts';

/** Where a worker is in its life. It has one, and cannot be started again. */
export type WorkerState =
  /** Made, nothing connected. */
  | 'idle'
  /** Connecting, checking its topics. */
  | 'starting'
  /** Subscribed and polling. */
  | 'running'
  /** Takes nothing new; running handlers end, what is finished is committed. */
  | 'draining'
  /** Everything is closed, as it was asked to. */
  | 'stopped'
  /** Everything is closed, because of an error. */
  | 'failed';

const transitions: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  idle: ['starting', 'stopped'],
  starting: ['running', 'draining'],
  running: ['draining'],
  draining: ['stopped', 'failed'],
  stopped: [],
  failed: [],
};

/** The one writer of a worker's state. */
export class Lifecycle {
  #state: WorkerState = 'idle';
  readonly #changed: (change: { readonly from: WorkerState; readonly to: WorkerState }) => void;

  constructor(changed: (change: { readonly from: WorkerState; readonly to: WorkerState }) => void) {
    this.#changed = changed;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** @throws IllegalStateError for a change that the table does not have */
  to(next: WorkerState): void {
    const from = this.#state;
    if (!transitions[from].includes(next))
      throw new IllegalStateError(`a worker that is ${from} cannot become ${next}`);
    this.#state = next;
    this.#changed({ from, to: next });
  }
}
