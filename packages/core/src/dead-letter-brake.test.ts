import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DeadLetterBrake, OutcomeWindow } from './dead-letter-brake.ts';

const START = Date.UTC(2026, 0, 1);

function note(window: OutcomeWindow, handled: number, deadLetters: number, now: number): void {
  // The last is a success, so that none of these are in a row.
  for (let i = 0; i < deadLetters; i++) window.noteDeadLetter(now);
  for (let i = 0; i < handled; i++) window.noteHandled(now);
}

describe('the outcomes of late', () => {
  const brake = { maxRatio: 0.5, minRecords: 10, windowMs: 10_000 };

  it('are too bad when the ratio is reached, and enough records are there', () => {
    const window = new OutcomeWindow();
    note(window, 4, 5, START);
    expect(window.objection(brake, START)).toBeUndefined();
    note(window, 1, 0, START);
    expect(window.objection(brake, START)).toBe('5 of 10 records within 10000 ms have failed');
    note(window, 1, 0, START);
    expect(window.objection(brake, START)).toBeUndefined();
  });

  it('are forgotten when the window has moved on', () => {
    const window = new OutcomeWindow();
    note(window, 1, 20, START);
    expect(window.objection(brake, START + 9_000)).toBeDefined();
    expect(window.objection(brake, START + 10_000)).toBeUndefined();
    note(window, 1, 20, START + 3_600_000);
    expect(window.objection(brake, START + 3_600_000)).toBe('20 of 21 records within 10000 ms have failed');
  });

  it('survive a clock that goes back', () => {
    const window = new OutcomeWindow();
    note(window, 1, 10, START);
    note(window, 1, 10, START - 5_000);
    expect(window.objection(brake, START - 5_000)).toBe('20 of 22 records within 10000 ms have failed');
  });

  it('count as a plain count of the seconds of the window does', () => {
    const outcome = fc.record({ afterMs: fc.nat(5_000), isDead: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(outcome, { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        fc.double({ min: 0.1, max: 1, noNaN: true }),
        (outcomes, seconds, maxRatio) => {
          const window = new OutcomeWindow();
          const all: { readonly second: number; readonly isDead: boolean }[] = [];
          let now = START;
          for (const { afterMs, isDead } of outcomes) {
            now += afterMs;
            all.push({ second: Math.floor(now / 1_000), isDead });
            if (isDead) window.noteDeadLetter(now);
            else window.noteHandled(now);
            const inside = all.filter(({ second }) => second > Math.floor(now / 1_000) - seconds);
            const dead = inside.filter((one) => one.isDead).length;
            const isTooBad = inside.length >= 5 && dead / inside.length >= maxRatio;
            const limits = { maxConsecutive: 1_000, maxRatio, minRecords: 5, windowMs: seconds * 1_000 };
            expect(window.objection(limits, now) !== undefined).toBe(isTooBad);
          }
        },
      ),
    );
  });
});

describe('the brake', () => {
  it('counts for each partition and for all of them together', () => {
    const [one, other] = [{}, {}];
    const brake = new DeadLetterBrake();
    const limits = { maxConsecutive: 3, minRecords: 1_000 };
    expect(brake.noteDeadLetter(one, limits, START)).toBeUndefined();
    expect(brake.noteDeadLetter(other, limits, START)).toBeUndefined();
    expect(brake.noteDeadLetter(one, limits, START)).toBe('3 records in a row have failed in the worker');
    brake.noteHandled(other, START);
    // A success elsewhere does not make the partition any better.
    expect(brake.noteDeadLetter(one, limits, START)).toBe('3 records in a row have failed in the partition');
  });

  it('holds nothing when it is off, but goes on counting', () => {
    const one = {};
    const brake = new DeadLetterBrake();
    for (let i = 0; i < 500; i++) expect(brake.noteDeadLetter(one, false, START)).toBeUndefined();
    expect(brake.noteDeadLetter(one, undefined, START)).toBe('501 records in a row have failed in the partition');
  });
});
