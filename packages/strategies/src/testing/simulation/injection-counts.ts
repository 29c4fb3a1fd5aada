import { type InjectionKind, injectionKinds } from './weather-mix.ts';

/** How often each kind of trouble was made. */
export class InjectionCounts {
  readonly #counts = new Map<InjectionKind, number>(injectionKinds.map((kind) => [kind, 0]));

  count(kind: InjectionKind): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  add(counts: InjectionCounts): void {
    for (const [kind, count] of counts.#counts) this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count);
  }

  /** Kinds that never happened. */
  missing(): InjectionKind[] {
    return injectionKinds.filter((kind) => this.#counts.get(kind) === 0);
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
