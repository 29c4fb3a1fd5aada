import { setTimeout as sleep } from 'node:timers/promises';
import type { LeaderMover } from './leader-mover.ts';
import type { LeaderWatch } from './leader-watch.ts';

export interface UntilLedOptions {
  readonly mover: LeaderMover;
  readonly watch: Pick<LeaderWatch, 'leaderOf'>;
  readonly partitions: number;
  /** The first is to lead. */
  readonly replicas: readonly number[];
  readonly signal: AbortSignal;
}

const WAIT_MS = 60_000;
const LOOK_MS = 200;

/** Gives all partitions these replicas; resolves when the first of them is seen to lead. */
export async function untilLed({ mover, watch, partitions, replicas, signal }: UntilLedOptions): Promise<void> {
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const isLed = (): boolean => all.every((partition) => watch.leaderOf(partition) === replicas[0]);
  for (const deadline = Date.now() + WAIT_MS; ; ) {
    await mover.place(new Map(all.map((partition) => [partition, replicas])));
    await mover.elect(all);
    await sleep(LOOK_MS, undefined, { signal });
    if (isLed()) return;
    if (Date.now() > deadline) throw new Error(`broker ${replicas[0]} does not lead after ${WAIT_MS} ms`);
  }
}
