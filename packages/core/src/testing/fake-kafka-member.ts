import type { AssignmentEvent } from '../kafka-client.ts';
import type { TopicPartition } from '../record.ts';
import { partitionKey } from './fake-kafka-assignor.ts';

/**
 * What a member knows of one partition.
 * - `offered`: an `assigned` event is on its way or not answered yet.
 * - `assigned`: taken over, records flow.
 * - `revoked`: asked back; still the member's until it releases it.
 * - `lost`: taken away; the member only has yet to let it go.
 */
export type FakePartitionState = 'offered' | 'assigned' | 'revoked' | 'lost';

/** A group member's own view: its partitions, and the events that it has not read or not answered. */
export class FakeMember {
  readonly id: string;
  readonly clientId: string | undefined;
  readonly instanceId: string | undefined;
  topics: readonly string[] = [];
  /** Expelled by the broker, until it has let go of everything and joins again. */
  isKicked = false;
  /** Another consumer with the same `groupInstanceId` has taken its place. */
  isFenced = false;
  /** How often it has let partitions go: what it asked for before is of a former generation then. */
  generation = 0;
  readonly #partitions = new Map<string, FakePartitionState>();
  #unread: AssignmentEvent[] = [];
  #unanswered: AssignmentEvent[] = [];
  readonly #onEvent: () => void;

  constructor(
    id: string,
    options: { readonly clientId?: string; readonly groupInstanceId?: string },
    onEvent: () => void,
  ) {
    this.id = id;
    this.clientId = options.clientId;
    this.instanceId = options.groupInstanceId;
    this.#onEvent = onEvent;
  }

  get hasUnanswered(): boolean {
    return this.#unanswered.length > 0 || this.#unread.length > 0;
  }

  get hasUnread(): boolean {
    return this.#unread.length > 0;
  }

  state(partition: TopicPartition): FakePartitionState | undefined {
    return this.#partitions.get(partitionKey(partition));
  }

  /** Every partition that the member has not let go. */
  partitions(): TopicPartition[] {
    return [...this.#partitions.keys()].map(parsePartitionKey);
  }

  /** Tells the member of a change. Partitions that are not in the state which the event ends are left out. */
  emit(type: AssignmentEvent['type'], partitions: readonly TopicPartition[]): void {
    const before = type === 'assigned' ? undefined : 'assigned';
    const affected = partitions.filter((partition) => this.state(partition) === before);
    if (affected.length === 0) return;
    for (const partition of affected)
      this.#partitions.set(partitionKey(partition), type === 'assigned' ? 'offered' : type);
    this.#unread.push({ type, partitions: affected });
    this.#onEvent();
  }

  /** The events that happened since the last call, which are to be answered from now on. */
  read(): AssignmentEvent[] {
    const events = this.#unread;
    this.#unread = [];
    this.#unanswered.push(...events);
    return events;
  }

  /** Answers an `assigned` event. False when there is none of exactly these partitions. */
  assign(partitions: readonly TopicPartition[]): boolean {
    if (!this.#answer(partitions, (type) => type === 'assigned')) return false;
    for (const partition of partitions) this.#partitions.set(partitionKey(partition), 'assigned');
    return true;
  }

  /** Answers a `revoked` or `lost` event. False when there is none of exactly these partitions. */
  release(partitions: readonly TopicPartition[]): boolean {
    if (!this.#answer(partitions, (type) => type !== 'assigned')) return false;
    for (const partition of partitions) this.#partitions.delete(partitionKey(partition));
    this.generation++;
    return true;
  }

  /** Forgets everything: the member is gone. */
  clear(): void {
    this.generation++;
    this.#partitions.clear();
    this.#unread = [];
    this.#unanswered = [];
  }

  #answer(partitions: readonly TopicPartition[], isAnswered: (type: AssignmentEvent['type']) => boolean): boolean {
    const answer = sameAs(partitions);
    const index = this.#unanswered.findIndex((event) => isAnswered(event.type) && sameAs(event.partitions) === answer);
    if (index < 0) return false;
    this.#unanswered.splice(index, 1);
    return true;
  }
}

function sameAs(partitions: readonly TopicPartition[]): string {
  return JSON.stringify(partitions.map(partitionKey).sort());
}

function parsePartitionKey(key: string): TopicPartition {
  const slash = key.lastIndexOf('/');
  return { topic: key.slice(0, slash), partition: Number(key.slice(slash + 1)) };
}
