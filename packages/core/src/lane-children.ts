/** Where a child is: its name, and what that name is one within, such as a partition. */
export interface Place {
  readonly scope: unknown;
  readonly key: unknown;
}

/** The children of a group of lanes, by scope and key. One string made of both would cost a record more than all else that is done to find its lane. */
export class LaneChildren<Child extends { readonly place: Place }> {
  readonly #byScope = new Map<unknown, Map<unknown, Child>>();
  /** Records come in runs of one partition. */
  #lastScope: unknown;
  #last: Map<unknown, Child> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(scope: unknown, key: unknown): Child | undefined {
    if (this.#last === undefined || this.#lastScope !== scope) {
      this.#last = this.#byScope.get(scope);
      this.#lastScope = scope;
    }
    return this.#last?.get(key);
  }

  /** One that is not there yet. */
  add(child: Child): void {
    const { scope, key } = child.place;
    let children = this.#byScope.get(scope);
    if (children === undefined) {
      children = new Map();
      this.#byScope.set(scope, children);
      this.#last = undefined;
    }
    children.set(key, child);
    this.#size++;
  }

  /** One that is there. Nothing of it is left behind. */
  remove({ place: { scope, key } }: Child): void {
    const children = this.#byScope.get(scope);
    if (children?.delete(key) !== true) return;
    this.#size--;
    if (children.size > 0) return;
    this.#byScope.delete(scope);
    this.#last = undefined;
  }

  *values(): Generator<Child> {
    for (const children of this.#byScope.values()) yield* children.values();
  }
}
