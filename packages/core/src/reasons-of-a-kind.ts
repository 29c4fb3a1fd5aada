/** So many of a kind are told one by one: thousands of records may wait for the same. */
const MOST_OF_A_KIND = 10;

/** A reason for each of these, and of those that are too many how many they are. `kind` says what the others do. */
export function reasonsOfAKind<T>(all: Iterable<T>, reasonOf: (one: T) => string, kind: string): string[] {
  const reasons: string[] = [];
  let others = 0;
  for (const one of all) {
    if (reasons.length < MOST_OF_A_KIND) reasons.push(reasonOf(one));
    else others++;
  }
  if (others > 0) reasons.push(`${others} more ${kind}`);
  return reasons;
}
