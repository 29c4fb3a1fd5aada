import { type InjectionKind, injectionKinds } from './weather-mix.ts';

/** How often each kind of trouble was made. */
export class InjectionCounts {
  readonly #counts = new Map<InjectionKind, number>(injectionKinds.map((kind) => [kind, 0]));

  count(kind: InjectionKind): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  add(counts: Readonly<Record<string, number>>): void {
    for (const kind of injectionKinds) this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + (counts[kind] ?? 0));
  }

  /** Kinds that never happened. */
  missing(): InjectionKind[] {
    return injectionKinds.filter((kind) => this.#counts.get(kind) === 0);
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
