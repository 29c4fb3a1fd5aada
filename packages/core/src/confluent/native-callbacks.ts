/** Callbacks by their librdkafka names. */
export type Callbacks = Readonly<Record<string, unknown>>;

interface Slot {
  callbacks: Callbacks | undefined;
}

interface Held {
  removeAllListeners(): unknown;
  _metadata?: unknown;
}

const slots = new WeakMap<object, Slot>();

/**
 * Makes a native client with these callbacks. The binding never lets go of what it was given, nor of the client: without `letGo` everything that a
 * callback, or a listener, can reach would be kept for as long as the process lives.
 */
export function withCallbacks<Native extends object>(callbacks: Callbacks, make: (own: Callbacks) => Native): Native {
  const slot: Slot = { callbacks };
  const native = make(throughSlot(slot, Object.entries(callbacks)));
  slots.set(native, slot);
  return native;
}

/** Of a client that is disconnected, and not used again: its callbacks and listeners, and what it remembers of the cluster. */
export function letGo(native: object): void {
  const slot = slots.get(native);
  if (slot !== undefined) slot.callbacks = undefined;
  const held = native as Held;
  held.removeAllListeners();
  held._metadata = undefined;
}

function throughSlot(slot: Slot, entries: readonly (readonly [string, unknown])[]): Callbacks {
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'function' ? through(slot, name) : value]),
  );
}

/** By itself, so that it holds the slot and nothing else. */
function through(slot: Slot, name: string): (...values: unknown[]) => unknown {
  return (...values) => (slot.callbacks?.[name] as ((...values: unknown[]) => unknown) | undefined)?.(...values);
}
