import { describe, expect, it } from '@jest/globals';
import { IllegalStateError } from './errors.ts';
import { Lifecycle, type WorkerState } from './lifecycle.ts';

const states: readonly WorkerState[] = ['idle', 'starting', 'running', 'draining', 'stopped', 'failed'];
/** Every way there is through a worker's life. */
const lives: readonly (readonly WorkerState[])[] = [
  ['stopped'],
  ['starting', 'running', 'draining', 'stopped'],
  ['starting', 'running', 'draining', 'failed'],
  ['starting', 'draining', 'stopped'],
  ['starting', 'draining', 'failed'],
];

describe('Lifecycle', () => {
  it.each(lives.map((life) => [life.join(' → '), life] as const))(
    'goes idle → %s, and tells of each step',
    (_name, life) => {
      const changes: string[] = [];
      const lifecycle = new Lifecycle(({ from, to }) => changes.push(`${from} ${to}`));
      for (const state of life) lifecycle.to(state);
      expect(lifecycle.state).toBe(life.at(-1));
      expect(changes).toEqual(life.map((to, i) => `${life[i - 1] ?? 'idle'} ${to}`));
    },
  );

  it('refuses every other change, and stays as it was', () => {
    const allowed = new Set(lives.flatMap((life) => life.map((to, i) => `${life[i - 1] ?? 'idle'} ${to}`)));
    const paths = new Map<WorkerState, readonly WorkerState[]>([['idle', []]]);
    for (const life of lives) for (const [i, state] of life.entries()) paths.set(state, life.slice(0, i + 1));
    for (const from of states) {
      for (const to of states) {
        if (allowed.has(`${from} ${to}`)) continue;
        const changes: unknown[] = [];
        const lifecycle = new Lifecycle((change) => changes.push(change));
        for (const state of paths.get(from) ?? []) lifecycle.to(state);
        const before = changes.length;
        expect(() => lifecycle.to(to)).toThrow(new IllegalStateError(`a worker that is ${from} cannot become ${to}`));
        expect([lifecycle.state, changes.length]).toEqual([from, before]);
      }
    }
  });
});
