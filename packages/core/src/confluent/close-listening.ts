import type { OwnedPartition } from './owned-partitions.ts';

/** Under full load, with a queue that fills meanwhile, it takes seconds until an error comes. */
const LISTEN_MS = 10_000;

/**
 * The client drops an error that comes behind records of the same turn. So while a partition is listened to closely, records are read one by
 * one, which is slow: until it has said something, be it an error.
 */
export class CloseListening {
  #to: OwnedPartition | undefined;
  #since = 0;
  #ms = LISTEN_MS;

  begin(owned: OwnedPartition, ms: number = LISTEN_MS): void {
    this.#to = owned;
    this.#since = Date.now();
    this.#ms = ms;
  }

  get isOn(): boolean {
    return this.#suspect() !== undefined;
  }

  /** Ends it, with an error that is its partition's by all appearances. */
  end(): OwnedPartition | undefined {
    const suspect = this.#suspect();
    this.#to = undefined;
    return suspect;
  }

  #suspect(): OwnedPartition | undefined {
    if (this.#to === undefined) return undefined;
    const isOver = this.#to.lastHeardAt > this.#since || this.#to.isWithheld || Date.now() - this.#since > this.#ms;
    if (isOver) this.#to = undefined;
    return this.#to;
  }
}
