import type { PartitionStatus } from '@kafka-worker/core';
import type { FailAt } from './example-arguments.ts';

/** How a run ended, as far as it says why a record was not reached. */
export interface RunEnding {
  /** Where each partition ended when the run began. */
  readonly ends: ReadonlyMap<number, number>;
  /** What stood still at the end. */
  readonly partitions: readonly (Pick<PartitionStatus, 'partition'> & {
    readonly frozen: readonly Pick<PartitionStatus['frozen'][number], 'offset'>[];
  })[];
  /** The worker ended by itself, or somebody ended the run. */
  readonly isCutShort: boolean;
}

/** A `--fail` whose record never came to the handler. */
export interface UnreachedFailure {
  readonly line: string;
  /** Nothing that happened in the run explains it: most likely there is no such record. */
  readonly isUnexplained: boolean;
}

/** Why the handler was not made to fail where it should, so that a run that tried nothing is not taken for one that went well. */
export function unreachedFailures(unreached: readonly FailAt[], ending: RunEnding): UnreachedFailure[] {
  return unreached.map((failAt) => {
    const option = `--fail ${failAt.partition}:${failAt.offset}`;
    const why = explain(failAt, ending);
    if (why === undefined)
      return { line: `${option} was never reached${whereLogEnds(failAt, ending)}`, isUnexplained: true };
    return { line: `${option} was not reached: ${why}`, isUnexplained: false };
  });
}

function explain({ partition, offset }: FailAt, { ends, partitions, isCutShort }: RunEnding): string | undefined {
  if (offset >= (ends.get(partition) ?? 0)) return undefined;
  const frozen = partitions.find((one) => one.partition === partition)?.frozen ?? [];
  const before = frozen.find((one) => one.offset < offset);
  if (before !== undefined) return `partition ${partition} is frozen at offset ${before.offset}`;
  return isCutShort ? 'the run ended before that' : undefined;
}

function whereLogEnds({ partition, offset }: FailAt, { ends }: RunEnding): string {
  const end = ends.get(partition);
  if (end === undefined) return `: there is no partition ${partition}`;
  return offset >= end ? `: the log of partition ${partition} ended at offset ${end}` : '';
}
