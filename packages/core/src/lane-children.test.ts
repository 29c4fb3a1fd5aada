import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LaneChildren, type Place } from './lane-children.ts';

interface Child {
  readonly place: Place;
}

const child = (scope: unknown, key: unknown): Child => ({ place: { scope, key } });

it('tells apart what a string of both would not', () => {
  const children = new LaneChildren<Child>();
  const all = [child('a b', 'c'), child('a', 'b c'), child(1, '1'), child('1', '1'), child(1, 1)];
  for (const one of all) children.add(one);
  for (const one of all) expect(children.get(one.place.scope, one.place.key)).toBe(one);
  expect([children.size, [...children.values()].length]).toEqual([all.length, all.length]);
});

it('has what was added and not removed, whatever was asked in between', () => {
  const step = fc.record({
    what: fc.constantFrom('add', 'remove', 'get'),
    scope: fc.nat({ max: 3 }),
    key: fc.nat({ max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const children = new LaneChildren<Child>();
      const model = new Map<string, Child>();
      for (const { what, scope, key } of steps) {
        const name = `${scope}/${key}`;
        const known = model.get(name);
        if (what === 'add' && known === undefined) {
          const added = child(scope, key);
          children.add(added);
          model.set(name, added);
        }
        if (what === 'remove') {
          children.remove(known ?? child(scope, key));
          model.delete(name);
        }
        expect(children.get(scope, key)).toBe(model.get(name));
        expect(children.size).toBe(model.size);
      }
      expect(new Set(children.values())).toEqual(new Set(model.values()));
    }),
  );
});
