import type { WrittenRecord } from '../load.ts';
import type { WorkerHistory } from './worker-fleet.ts';

/** A worker was killed or a broker went away; over when every replica was in sync and every partition had one owner again. */
export interface Fault {
  readonly what: string;
  readonly kind: 'kill' | 'broker';
  readonly from: number;
  readonly until: number;
}

/** Everything that one group went through: what the verdict is made from. */
export interface TurnRecord {
  readonly protocol: 'classic' | 'consumer';
  readonly from: number;
  /** When the last step was over. What follows is the rest of the records, and the end. */
  readonly until: number;
  readonly workers: readonly WorkerHistory[];
  readonly firstWorkers: number;
  readonly faults: readonly Fault[];
  /** Why it was given up before its end: the group did not come to rest, or a worker ended by itself. */
  readonly givenUp: string | undefined;
  readonly written: readonly WrittenRecord[];
  readonly unacknowledged: number;
  /** Of each partition: the end of its log, and what the group has committed. */
  readonly ends: readonly number[];
  readonly committed: readonly (number | undefined)[];
}
