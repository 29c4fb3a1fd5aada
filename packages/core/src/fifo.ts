const INITIAL_CAPACITY = 4;
/** A larger ring is given back when it is empty. */
const KEPT_CAPACITY = 4_096;

/** A queue that takes and gives in O(1), and lets go of what it gave: a ring that grows. */
export class Fifo<T> {
  #ring: (T | undefined)[] = new Array<T | undefined>(INITIAL_CAPACITY);
  #mask: number = INITIAL_CAPACITY - 1;
  #head = 0;
  length = 0;

  push(item: T): void {
    if (this.length > this.#mask) this.#resize((this.#mask + 1) * 2);
    this.#ring[(this.#head + this.length) & this.#mask] = item;
    this.length++;
  }

  peek(): T | undefined {
    return this.length === 0 ? undefined : this.#ring[this.#head];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.length--;
    if (this.length === 0 && this.#mask >= KEPT_CAPACITY) this.#resize(INITIAL_CAPACITY);
    return item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.length; i++) yield this.#ring[(this.#head + i) & this.#mask] as T;
  }

  /** Takes out everything that `isTaken` says, in order, and keeps the order of the rest. */
  extract(isTaken: (item: T) => boolean): T[] {
    const taken: T[] = [];
    for (let left = this.length; left > 0; left--) {
      const item = this.shift() as T;
      if (isTaken(item)) taken.push(item);
      else this.push(item);
    }
    return taken;
  }

  #resize(capacity: number): void {
    const ring = new Array<T | undefined>(capacity);
    for (let i = 0; i < this.length; i++) ring[i] = this.#ring[(this.#head + i) & this.#mask];
    this.#ring = ring;
    this.#mask = capacity - 1;
    this.#head = 0;
  }
}
