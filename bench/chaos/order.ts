import type { Call, Epoch } from './epochs.ts';
import type { HandledLog } from './handled-log.ts';

const NONE: ReadonlySet<string> = new Set();

/**
 * Everything that was handled out of its order, in words.
 * @param writtenTwice where, as `partition@offset`, a record stands in the log that stands at a smaller offset too: that is its order
 */
export function orderViolations(log: HandledLog, writtenTwice: ReadonlySet<string> = NONE): readonly string[] {
  return [...log.epochs.flatMap((epoch) => insideEpoch(epoch, writtenTwice)), ...acrossEpochs(log, writtenTwice)];
}

/** One after another, each when the one before has returned: the partition's under `perPartition`, each key's under `perKey`. */
function insideEpoch({ worker, partition, calls }: Epoch, writtenTwice: ReadonlySet<string>): readonly string[] {
  const violations: string[] = [];
  const last = new Map<string, Call>();
  for (const call of calls) {
    const lane = worker.strategy === 'perPartition' ? '' : call.key;
    const before = last.get(lane);
    last.set(lane, call);
    if (before === undefined) continue;
    const isNext =
      call.key !== before.key || call.sequence > before.sequence || writtenTwice.has(`${partition}@${call.offset}`);
    const isBehind = call.offset > before.offset && isNext;
    const isAlone = before.returnedAt !== undefined && before.returnedAt <= call.at;
    if (!isBehind || !isAlone)
      violations.push(`${worker.name} handled ${partition}@${call.offset} ${relation(before, isBehind)}`);
  }
  return violations;
}

function relation({ offset }: Call, isBehind: boolean): string {
  return isBehind ? `while @${offset} was running` : `after @${offset}`;
}

/** Whoever handles them: a record of a key is first begun when the one before it has once been finished. */
function acrossEpochs(log: HandledLog, writtenTwice: ReadonlySet<string>): readonly string[] {
  const violations: string[] = [];
  for (const partition of log.partitions) {
    const last = new Map<string, { readonly sequence: number; readonly finishedAt: number; readonly offset: number }>();
    for (let offset = 0; offset < log.lengthOf(partition); offset++) {
      const [first] = log.callsOf(partition, offset);
      if (first === undefined) continue;
      const before = last.get(first.key);
      const { sequence } = first;
      const isNext = before === undefined || before.sequence < sequence || writtenTwice.has(`${partition}@${offset}`);
      if (before !== undefined && (before.finishedAt > first.at || !isNext)) {
        violations.push(`${partition}@${offset} of key ${first.key} was begun before @${before.offset} was finished`);
      }
      const finishedAt = log.finishedAt(partition, offset) ?? Number.POSITIVE_INFINITY;
      last.set(first.key, { sequence, finishedAt, offset });
    }
  }
  return violations;
}
