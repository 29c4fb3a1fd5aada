import { CommitError, type StopOptions, type TopicPartition } from '@kafka-worker/core';
import type { FakeKafka, FakeOperation, VirtualClock } from '@kafka-worker/core/testing';
import type { InjectionCounts } from './injection-counts.ts';
import type { Oracle } from './oracle.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { EventKind, WeatherMix } from './weather-mix.ts';

const DELAYED: readonly FakeOperation[] = [
  'connect',
  'poll',
  'commit',
  'commit-answer',
  'committed',
  'offsets-for',
  'close',
];
/** Refused for a reason that passes: timed out, loading, not the coordinator; and the group is rebalancing. */
const REFUSALS = [
  { kafkaCode: 7, retriable: true },
  { kafkaCode: 14, retriable: true },
  { kafkaCode: 16, retriable: true },
  { kafkaCode: 27, retriable: false },
];

/** What the weather comes over. */
export interface WeatherSurroundings {
  readonly kafka: FakeKafka;
  readonly clock: VirtualClock;
  readonly oracle: Oracle;
  /** Processes whose worker has not ended. */
  readonly alive: readonly SimulatedProcess[];
  /** One more process; false when there are enough. */
  join(): boolean;
  stop(process: SimulatedProcess, options: StopOptions & { readonly timeoutMs: number }): void;
  crash(process: SimulatedProcess): void;
  /** Takes partitions of a process away; false when it has none. */
  take(how: 'revoke' | 'lost', process: SimulatedProcess): boolean;
}

/** Decides at which await what happens, and does it. */
export class Weather {
  readonly #world: WeatherSurroundings;
  readonly #random: SeededRandom;
  readonly #mix: WeatherMix;
  readonly #injected: InjectionCounts;
  #eventsLeft: number;
  #awaitsLeft: number;
  #isCalm = false;
  /** What has been taken or held, and is to be given back. */
  readonly #open = new Set<() => void>();

  constructor(world: WeatherSurroundings, random: SeededRandom, mix: WeatherMix, injected: InjectionCounts) {
    this.#world = world;
    this.#random = random;
    this.#mix = mix;
    this.#injected = injected;
    this.#eventsLeft = 1 + random.below(mix.maxEvents);
    this.#awaitsLeft = random.below(mix.awaitsBetween);
  }

  /** Whether everything that was to happen has happened. */
  get isOver(): boolean {
    return this.#eventsLeft <= 0;
  }

  /** Something awaits: now it may happen. */
  awaited(): void {
    if (this.#isCalm || this.#eventsLeft <= 0 || this.#awaitsLeft-- > 0) return;
    this.#awaitsLeft = this.#random.below(this.#mix.awaitsBetween);
    this.#eventsLeft--;
    const kind = this.#random.weighted(this.#mix.events);
    const happen = (): void => {
      if (this.#isCalm || !this.#do(kind)) return;
      this.#injected.count(kind);
      this.#world.oracle.note(`weather: ${kind}`);
    };
    // At the await itself, or while something goes on after it.
    if (this.#random.chance(0.5)) happen();
    else this.#world.clock.setTimeout(happen, this.#random.pick([1, 7, 17, 60]));
  }

  /** Nothing happens any more, and what was taken is given back. */
  calm(): void {
    this.#isCalm = true;
    for (const end of this.#open) end();
    this.#world.kafka.group('g').rebalance();
  }

  /** False when it was not possible. */
  #do(kind: EventKind): boolean {
    const { kafka } = this.#world;
    switch (kind) {
      case 'revoke':
      case 'lost':
        return this.#take(kind);
      case 'move':
        return this.#move();
      case 'kick':
        return this.#kick();
      case 'join':
        return this.#world.join();
      case 'stop':
        return this.#ofSome((process) => {
          this.#world.stop(process, {
            mode: this.#random.pick(['in-flight', 'drain']),
            timeoutMs: this.#random.pick([0, 100, 2_000]),
          });
        });
      case 'crash':
        return this.#ofSome((process) => this.#world.crash(process));
      case 'outage':
        this.#forAWhile(kafka.outage(), [100, 1_500, 6_000]);
        return true;
      case 'commit-refused':
        kafka.failCommits(1 + this.#random.below(3), this.#random.pick(REFUSALS));
        return true;
      case 'commit-unacknowledged':
        kafka.fail('commit-answer', 1 + this.#random.below(2), ({ offsets = [] }) => {
          const failures = offsets.map((next) => ({ ...next, kafkaCode: 7, reason: 'the answer was lost' }));
          return new CommitError(failures, { retriable: true });
        });
        return true;
      case 'delay': {
        const hold = kafka.hold(this.#random.pick(DELAYED));
        this.#forAWhile(() => hold.release(), [20, 300, 3_000]);
        return true;
      }
    }
  }

  /** Takes partitions away: asks for them, or does not ask. Some time later the group divides them again. */
  #take(how: 'revoke' | 'lost'): boolean {
    return this.#ofOwner((process) => this.take(how, process));
  }

  /** As above, from one process. */
  take(how: 'revoke' | 'lost', process: SimulatedProcess): boolean {
    return this.#ofMember(process, (member, owned) => {
      const group = this.#world.kafka.group('g');
      const chosen = this.#random.chance(0.4) ? owned : [this.#random.pick(owned)];
      try {
        group[how === 'lost' ? 'lose' : how](chosen, member);
      } catch {
        // It is being taken away already.
        return false;
      }
      if (how === 'lost') this.#world.oracle.ownership.expelled(process.name, chosen);
      this.#forAWhile(() => group.rebalance(), [1, 50, 500, 3_000]);
      return true;
    });
  }

  /** Gives a partition to another member. */
  #move(): boolean {
    return this.#ofOwner((process, _member, owned) => {
      const others = this.#world.alive.filter((other) => other !== process && other.member !== undefined);
      if (others.length === 0) return false;
      this.#world.kafka.group('g').assign([this.#random.pick(owned)], this.#random.pick(others).member);
      return true;
    });
  }

  #kick(): boolean {
    return this.#ofOwner((process, member, owned) => {
      this.#world.kafka.group('g').kick(member);
      this.#world.oracle.ownership.expelled(process.name, owned);
      return true;
    });
  }

  #ofSome(act: (process: SimulatedProcess) => void): boolean {
    const { alive } = this.#world;
    if (alive.length === 0) return false;
    act(this.#random.pick(alive));
    return true;
  }

  #ofOwner(act: (process: SimulatedProcess, member: number, owned: readonly TopicPartition[]) => boolean): boolean {
    const { alive } = this.#world;
    if (alive.length === 0) return false;
    const process = this.#random.pick(alive);
    return this.#ofMember(process, (member, owned) => act(process, member, owned));
  }

  #ofMember(process: SimulatedProcess, act: (member: number, owned: readonly TopicPartition[]) => boolean): boolean {
    const { member } = process;
    const owned = member === undefined ? [] : this.#world.kafka.group('g').assignment(member);
    return member !== undefined && owned.length > 0 && act(member, owned);
  }

  #forAWhile(end: () => void, ms: readonly number[]): void {
    const once = (): void => {
      if (this.#open.delete(once)) end();
    };
    this.#open.add(once);
    this.#world.clock.setTimeout(once, this.#random.pick(ms));
  }
}
