/** How much must have happened, so that "nothing was lost" says something. */
export type Minimums = Readonly<Record<'records' | 'joins' | 'cleanLeaves' | 'kills' | 'brokerRestarts', number>>;

/** For a run of so many seconds; 300 are a full one. */
export function minimumsFor(seconds: number): Minimums {
  const every = (interval: number): number => Math.max(1, Math.floor(seconds / interval));
  return {
    records: seconds * 200,
    joins: every(15),
    cleanLeaves: every(15),
    kills: every(60),
    brokerRestarts: every(120),
  };
}

/** What each of several turns has to contribute. */
export function shareOf(minimums: Minimums, turns: number): Minimums {
  const { records, joins, cleanLeaves, kills, brokerRestarts } = minimums;
  const share = (whole: number): number => Math.ceil(whole / turns);
  return {
    ...{ records: share(records), joins: share(joins), cleanLeaves: share(cleanLeaves) },
    ...{ kills: share(kills), brokerRestarts: share(brokerRestarts) },
  };
}

/** What was not reached, in words. */
export function unreached(reached: Minimums, minimums: Minimums): readonly string[] {
  return (Object.keys(minimums) as (keyof Minimums)[])
    .filter((name) => reached[name] < minimums[name])
    .map((name) => `only ${reached[name]} ${name}, which must be at least ${minimums[name]}`);
}
