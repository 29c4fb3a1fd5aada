import { seededRandom } from './random.ts';

/** One thing that is done to the group or to its brokers. */
export type Step =
  | { readonly do: 'join' }
  /** `pick` chooses among those that are there: 0 the oldest, just under 1 the youngest. */
  | { readonly do: 'leave' | 'kill'; readonly pick: number }
  | { readonly do: 'end-broker'; readonly nodeId: number; readonly signal: 'SIGTERM' | 'SIGKILL' }
  | { readonly do: 'start-broker' }
  | { readonly do: 'wait'; readonly ms: number }
  /** Anything else. */
  | { readonly do: 'run'; readonly run: (signal: AbortSignal) => Promise<void> }
  /** Until every fault is over and every partition has one owner. */
  | { readonly do: 'settle' };

const FIRST_PAIRS = 2;
const PAIRS = 4;

/** What is done round by round, for ever; each round ends settled. The same for the same seed. The first one has everything in it. */
export function* chaosPlan(seed: number): Generator<readonly Step[], never> {
  const random = seededRandom(seed);
  const between = (low: number, high: number): number => Math.round(low + random() * (high - low));
  const wait = (low: number, high: number): Step => ({ do: 'wait', ms: between(low, high) });
  const settle: Step = { do: 'settle' };
  const leave = (): Step => ({ do: 'leave', pick: random() });

  /** A worker comes and another one goes, one after the other or at the same time. */
  const pair = (): readonly Step[] => {
    const comeAndGo: readonly Step[] = random() < 0.5 ? [{ do: 'join' }, leave()] : [leave(), { do: 'join' }];
    const [first, second] = comeAndGo as [Step, Step];
    const pause = random() < 0.7 ? [settle, wait(100, 800)] : [wait(0, 1_500)];
    return [first, ...pause, second, settle, wait(100, 800)];
  };
  /** While a fault is being got over. */
  const disturbance = (): readonly Step[] => {
    const choice = random();
    return choice < 0.4 ? [leave()] : choice < 0.8 ? [{ do: 'join' }] : [];
  };

  for (let round = 0; ; round++) {
    const steps: Step[] = [settle];
    for (let left = round === 0 ? FIRST_PAIRS : PAIRS; left > 0; left--) steps.push(...pair());
    steps.push({ do: 'kill', pick: random() }, wait(200, 2_500), ...disturbance(), settle);
    if (round % 2 === 0) {
      const signal = round % 4 === 0 ? 'SIGTERM' : 'SIGKILL';
      steps.push({ do: 'end-broker', nodeId: between(1, 3), signal }, wait(500, 4_000), ...disturbance());
      steps.push(wait(500, 3_000), { do: 'start-broker' }, settle);
    }
    yield steps;
  }
}
