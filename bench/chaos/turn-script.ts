import type { LoadOptions } from '../load.ts';
import { type Minimums, unreached } from './minimums.ts';
import { chaosPlan, type Step } from './plan.ts';

/** What a group goes through. */
export interface TurnScript {
  /** Of the topic, and of the group. */
  readonly name: string;
  readonly partitions: number;
  readonly recordsPerSecond: LoadOptions['recordsPerSecond'];
  /** At the beginning. */
  readonly firstWorkers: number;
  /** So many stay, whoever leaves or dies. */
  readonly minWorkers: number;
  readonly maxWorkers: number;
  /** Of a partition's records every so manyth makes its handler wait a little. */
  readonly waitEvery: number;
  /** What is done, round by round; the next one is asked for when the one before is over. */
  readonly rounds: Iterable<readonly Step[]>;
  /** Asked between rounds. */
  readonly isOver: (reached: Minimums, seconds: number) => boolean;
}

/** Workers come, leave and die, and brokers restart. It goes on until it is `enough`, at most as long again: a busy machine does less in the same time. */
export function chaosScript(name: string, seed: number, seconds: number, enough: Minimums): TurnScript {
  return {
    ...{ name, partitions: 12, recordsPerSecond: 400 },
    ...{ firstWorkers: 3, minWorkers: 2, maxWorkers: 5, waitEvery: 1 },
    rounds: chaosPlan(seed),
    isOver: (reached, elapsed) =>
      elapsed >= 2 * seconds || (elapsed >= seconds && unreached(reached, enough).length === 0),
  };
}
