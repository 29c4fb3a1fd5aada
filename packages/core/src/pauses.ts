import type { Assignment } from './assignment.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { TopicPartition } from './record.ts';
import type { Suspensions } from './suspensions.ts';

/** Which partitions the user has paused: all of them, or those that were named, now and when they are assigned again. */
export class Pauses {
  readonly #assignment: Assignment;
  readonly #suspensions: Suspensions;
  readonly #named = new Set<string>();
  #areAllPaused = false;
  /** Where all are paused: those that were resumed since. */
  readonly #excepted = new Set<string>();

  constructor(assignment: Assignment, suspensions: Suspensions) {
    this.#assignment = assignment;
    this.#suspensions = suspensions;
  }

  pause(partitions: readonly TopicPartition[] | undefined): void {
    if (partitions === undefined) {
      this.#areAllPaused = true;
      this.#excepted.clear();
    }
    for (const one of partitions ?? []) {
      this.#named.add(nameOf(one));
      this.#excepted.delete(nameOf(one));
    }
    for (const owner of this.#assignment) this.applyTo(owner);
  }

  /** Of all, also those that were paused by name. */
  resume(partitions: readonly TopicPartition[] | undefined): void {
    if (partitions === undefined) {
      this.#areAllPaused = false;
      this.#named.clear();
      this.#excepted.clear();
    }
    for (const one of partitions ?? []) {
      this.#named.delete(nameOf(one));
      if (this.#areAllPaused) this.#excepted.add(nameOf(one));
    }
    for (const owner of this.#assignment) {
      if (!this.#isPaused(owner)) this.#suspensions.release(owner, 'paused');
    }
  }

  /** Where somebody paused everything, whatever is assigned later is paused too. */
  applyTo(owner: OwnedPartition): void {
    // What drains counts as committed: it is finished, paused or not.
    if (owner.isDraining || !this.#isPaused(owner)) return;
    if (owner.phase === 'active') this.#suspensions.suspend(owner, 'paused');
    else owner.leaveOpen(0);
  }

  #isPaused(partition: TopicPartition): boolean {
    const name = nameOf(partition);
    return this.#named.has(name) || (this.#areAllPaused && !this.#excepted.has(name));
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
