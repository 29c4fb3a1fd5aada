import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ChaosTurn, type ChaosTurnOptions } from './chaos-turn.ts';
import { minimumsFor, shareOf, unreached } from './minimums.ts';
import { ThreeBrokers } from './three-brokers.ts';
import { chaosScript } from './turn-script.ts';
import { together, type Verdict, verdictOn } from './verdict.ts';

export interface RunChaosOptions extends Pick<ChaosTurnOptions, 'reader' | 'directory' | 'say' | 'signal'> {
  readonly seed: number;
  /** Shared by the turns. */
  readonly seconds: number;
  /** One turn each. A run that is too short for all has only the first. */
  readonly protocols: readonly ChaosTurnOptions['protocol'][];
}

/** Below that a turn would be nearly all start and end. */
const SHORTEST_TURN_S = 60;

/** Starts three brokers, lets a group of each protocol go through it in its turn, and judges. */
export async function runChaos({
  seconds,
  seed,
  protocols,
  directory,
  say,
  ...rest
}: RunChaosOptions): Promise<Verdict> {
  const brokers = await ThreeBrokers.start(say, rest.signal);
  try {
    const count = Math.max(1, Math.min(protocols.length, Math.floor(seconds / SHORTEST_TURN_S)));
    const minimums = minimumsFor(seconds);
    const enough = shareOf(minimums, count);
    const verdicts: Verdict[] = [];
    for (const protocol of protocols.slice(0, count)) {
      const own = join(directory, protocol);
      mkdirSync(own);
      say(`── group protocol ${protocol}, for ${Math.round(seconds / count)} s`);
      const script = chaosScript(`chaos-${protocol}`, seed, seconds / count, enough);
      const turn = new ChaosTurn({ ...rest, brokers, protocol, say, directory: own, script });
      verdicts.push(verdictOn(await turn.run()));
    }
    const verdict = together(verdicts);
    return { ...verdict, violations: [...verdict.violations, ...unreached(verdict, minimums)] };
  } finally {
    await brokers.stop();
  }
}
