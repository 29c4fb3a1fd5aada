import { describe, expect, it } from '@jest/globals';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('runs a task at once, and what follows it afterwards', () => {
    const order: string[] = [];
    const turns = new Turns(
      () => order.push('after'),
      () => {},
    );
    turns.run(() => order.push('task'));
    expect(order).toEqual(['task', 'after']);
  });

  it('never runs a task inside another one: it waits for its end', () => {
    const order: string[] = [];
    const turns = new Turns(
      () => order.push('after'),
      () => {},
    );
    turns.run(() => {
      order.push('first begins');
      turns.run(() => order.push('second'));
      turns.run(() => turns.run(() => order.push('third')));
      order.push('first ends');
    });
    expect(order).toEqual(['first begins', 'first ends', 'second', 'third', 'after']);
  });

  it('looks at the state again after tasks that come up while it looks', () => {
    const order: string[] = [];
    let more = 2;
    const turns = new Turns(
      () => {
        order.push('after');
        if (more-- > 0) turns.run(() => order.push('more'));
      },
      () => {},
    );
    turns.run(() => order.push('task'));
    expect(order).toEqual(['task', 'after', 'more', 'after', 'more', 'after']);
  });

  it.each(['a task', 'what follows'])(
    'reports when %s throws, drops the tasks that were left, and goes on later',
    (where) => {
      const order: string[] = [];
      const failures: unknown[] = [];
      let isBroken = true;
      const fail = (): void => {
        throw new Error('defect');
      };
      const turns = new Turns(
        () => {
          if (isBroken && where === 'what follows') fail();
        },
        (error) => failures.push(error),
      );
      turns.run(() => {
        if (where === 'a task') {
          turns.run(() => order.push('left over'));
          fail();
        }
      });
      expect(failures).toEqual([new Error('defect')]);
      isBroken = false;
      turns.run(() => order.push('later'));
      expect(order).toEqual(['later']);
      expect(failures).toHaveLength(1);
    },
  );
});
