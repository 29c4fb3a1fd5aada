import type { HandlerCall } from './handler-call.ts';
import type { Turns } from './turns.ts';

/** Where a call's promise reports to. Reused, so that a call costs no closures. */
interface Slot {
  call: HandlerCall | undefined;
  /** Given up: its handler has not returned still. */
  abandoned: HandlerCall | undefined;
  readonly fulfilled: () => void;
  readonly rejected: (error: unknown) => void;
}

/** Whom the slots tell, inside a turn. */
export interface HandlerSlotsParts {
  readonly turns: Turns;
  readonly returned: (call: HandlerCall) => void;
  /** A handler that was given up has returned after all. */
  readonly gone: (abandoned: HandlerCall) => void;
}

/** The handlers that run, each in a slot until its promise is settled. */
export class HandlerSlots {
  readonly #parts: HandlerSlotsParts;
  readonly #slots: Slot[] = [];
  readonly #free: Slot[] = [];

  constructor(parts: HandlerSlotsParts) {
    this.#parts = parts;
  }

  /** Calls whose handler runs. */
  *calls(): Generator<HandlerCall> {
    for (const slot of this.#slots) if (slot.call !== undefined) yield slot.call;
  }

  /** Waits for what the call's handler has given. */
  wait(call: HandlerCall, result: PromiseLike<unknown>): void {
    const slot = this.#free.pop() ?? this.#newSlot();
    slot.call = call;
    // A foreign thenable may call back twice, or throw; a promise does neither.
    const promise =
      result instanceof Promise && result.then === Promise.prototype.then ? result : Promise.resolve(result);
    promise.then(slot.fulfilled, slot.rejected);
  }

  /** The call is not waited for any longer; its slot is taken until its handler returns. Whether it was waited for. */
  abandon(call: HandlerCall): boolean {
    const slot = this.#slots.find((one) => one.call === call);
    if (slot === undefined) return false;
    slot.call = undefined;
    slot.abandoned = call;
    return true;
  }

  #newSlot(): Slot {
    const { turns } = this.#parts;
    const returned = (): void => {
      const { call, abandoned } = slot;
      slot.call = undefined;
      slot.abandoned = undefined;
      this.#free.push(slot);
      if (call !== undefined) this.#parts.returned(call);
      else if (abandoned !== undefined) this.#parts.gone(abandoned);
    };
    const slot: Slot = {
      call: undefined,
      abandoned: undefined,
      fulfilled: () => turns.run(returned),
      rejected: (error) => {
        if (slot.call !== undefined) slot.call.failure = { error };
        turns.run(returned);
      },
    };
    this.#slots.push(slot);
    return slot;
  }
}
