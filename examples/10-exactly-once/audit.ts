import type { ExampleResult } from '../harness/example-summary.ts';

/** What the accounts hold, and what they should. */
export interface Audit {
  readonly figures: ExampleResult;
  readonly problem?: string;
}

/** Compares every single balance with what the payments say. */
export function audit(balances: ReadonlyMap<string, number>, expected: ReadonlyMap<string, number>): Audit {
  const names = [...new Set([...balances.keys(), ...expected.keys()])];
  const wrong = names.filter((name) => balances.get(name) !== expected.get(name));
  const figures = {
    accounts: balances.size,
    sumOfBalances: sumOf(balances),
    expectedSum: sumOf(expected),
    wrongBalances: wrong.length,
    balances: Object.fromEntries([...balances].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  const [name] = wrong;
  if (name === undefined) return { figures };
  const example = `${name} has ${balances.get(name)}, and should have ${expected.get(name)}`;
  return { figures, problem: `${wrong.length} of ${names.length} balances are not what the payments say: ${example}` };
}

function sumOf(balances: ReadonlyMap<string, number>): number {
  return [...balances.values()].reduce((sum, balance) => sum + balance, 0);
}
