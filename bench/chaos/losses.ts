import type { HandledLog } from './handled-log.ts';
import type { TurnRecord } from './turn-record.ts';

/** Records of the log that nobody has finished, and acknowledged ones that nobody has finished as they were written. */
export function lostRecords(turn: Pick<TurnRecord, 'ends' | 'written'>, log: HandledLog): readonly string[] {
  const lost = new Set<string>();
  for (const [partition, end] of turn.ends.entries()) {
    for (let offset = 0; offset < end; offset++) {
      if (log.finishedAt(partition, offset) === undefined) lost.add(`${partition}@${offset}`);
    }
  }
  /** Where each was handled. */
  const places = new Map<string, number>();
  for (const { calls } of log.epochs)
    for (const { key, sequence, offset, returnedAt } of calls)
      if (returnedAt !== undefined) places.set(`${key} ${sequence}`, offset);
  for (const { partition, offset, key, sequence } of turn.written) {
    const handled = places.get(`${key} ${sequence}`);
    // Where a batch had to be sent again, the broker says that it has it already, and not where: then its offset is negative.
    if (handled === undefined || (offset >= 0 && handled !== offset)) lost.add(`${partition}@${offset}`);
  }
  return [...lost];
}

/** Commits that were acknowledged before everything below them was finished: a crash would have lost it. */
export function earlyCommits(workers: TurnRecord['workers'], log: HandledLog): readonly string[] {
  /** Per partition: when everything up to and with this offset was finished. */
  const finished = new Map<number, number[]>();
  for (const partition of log.partitions) {
    const times: number[] = [];
    let latest = 0;
    for (let offset = 0; offset < log.lengthOf(partition); offset++) {
      latest = Math.max(latest, log.finishedAt(partition, offset) ?? Number.POSITIVE_INFINITY);
      times.push(latest);
    }
    finished.set(partition, times);
  }
  return workers.flatMap(({ name, entries }) =>
    entries.flatMap((entry) => {
      if (entry.what !== 'commit') return [];
      return Object.entries(entry.next)
        .filter(
          ([partition, next]) =>
            next > 0 && !((finished.get(Number(partition))?.[next - 1] ?? Number.POSITIVE_INFINITY) <= entry.at),
        )
        .map(([partition, next]) => `${name} committed ${partition}@${next} too early`);
    }),
  );
}
