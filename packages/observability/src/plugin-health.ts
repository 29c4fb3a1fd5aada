import { IllegalStateError, type PluginHost } from '@kafka-worker/core';

/** The same failure again and again is one event, and another one after so long. */
const REPEAT_MS = 10_000;

/** Keeps what goes wrong in a plugin away from the records, and tells the worker of it. */
export class PluginHealth {
  readonly #name: string;
  #host: PluginHost | undefined;
  readonly #toldAt = new Map<string, number>();

  constructor(name: string) {
    this.#name = name;
  }

  /** @throws IllegalStateError when it is given to a second worker */
  started(host: PluginHost): void {
    if (this.#host !== undefined) throw new IllegalStateError(`${this.#name}() is for one worker: make one for each`);
    this.#host = host;
  }

  /** Undefined when it threw. */
  guard<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (thrown) {
      this.failed(thrown);
      return undefined;
    }
  }

  failed(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const now = Date.now();
    const toldAt = this.#toldAt.get(error.message);
    if (toldAt !== undefined && now - toldAt < REPEAT_MS) return;
    // Messages that differ each time must not fill the memory.
    if (this.#toldAt.size >= 100) this.#toldAt.clear();
    this.#toldAt.set(error.message, now);
    this.#host?.report(new Error(`${this.#name}: ${error.message}`, { cause: error }));
  }
}
