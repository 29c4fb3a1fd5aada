import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { IllegalStateError } from './errors.ts';
import { Ledger } from './ledger.ts';

/** A ledger that anybody can see is right: a list of what was received, and whether it is finished. */
class NaiveLedger {
  readonly records: { readonly offset: number; isOpen: boolean }[] = [];
  position: number;

  constructor(startOffset: number) {
    this.position = startOffset;
  }

  receive(offset: number): void {
    this.records.push({ offset, isOpen: true });
    this.position = offset + 1;
  }

  settle(offset: number): void {
    const record = this.records.find((one) => one.offset === offset);
    if (record !== undefined) record.isOpen = false;
  }

  get open(): readonly number[] {
    return this.records.filter((one) => one.isOpen).map((one) => one.offset);
  }

  get nextOffset(): number {
    return this.open[0] ?? this.position;
  }

  get aheadCount(): number {
    return this.records.filter((one) => one.offset >= this.nextOffset).length;
  }
}

type Step =
  | { readonly do: 'receive'; readonly gaps: readonly number[] }
  /** Settles the open record at this part of the open ones. */
  | { readonly do: 'settle'; readonly at: number; readonly times: number }
  | { readonly do: 'settle-first'; readonly times: number }
  | { readonly do: 'advance'; readonly by: number }
  | { readonly do: 'wrong'; readonly offset: number };

/** Mostly the next offset, sometimes a gap inside a chunk, over a chunk's border, or over a great many chunks. */
const gap = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.nat(40) },
  { weight: 2, arbitrary: fc.integer({ min: 900, max: 1_100 }) },
  { weight: 1, arbitrary: fc.nat(10_000_000_000) },
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('receive' as const), gaps: fc.array(gap, { maxLength: 40 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('settle' as const),
        at: fc.double({ min: 0, max: 0.999, noNaN: true }),
        times: fc.nat(20),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('settle-first' as const), times: fc.nat(60) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('advance' as const), by: fc.integer({ min: -50, max: 3_000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('wrong' as const), offset: fc.integer({ min: -10, max: 5_000 }) }),
    },
  ),
  { maxLength: 30 },
);
/** Around a chunk's border, and anywhere. */
const start = fc.oneof(fc.constantFrom(0, 1, 4_094, 4_095, 4_096, 2 ** 31 - 3, 2 ** 32 - 2), fc.nat(1_000_000_000_000));

/** Runs steps on a ledger and on the model side by side, and looks at both after each. */
function runBoth(
  startOffset: number,
  plan: readonly Step[],
  look: (ledger: Ledger, model: NaiveLedger, step: Step) => void,
): void {
  const ledger = new Ledger(startOffset);
  const model = new NaiveLedger(startOffset);
  const settle = (offset: number): void => {
    ledger.settle(offset);
    model.settle(offset);
  };
  for (const step of plan) {
    if (step.do === 'receive') {
      for (const skipped of step.gaps) {
        const offset = model.position + skipped;
        ledger.receive(offset);
        model.receive(offset);
      }
    } else if (step.do === 'settle') {
      for (let n = 0; n < step.times && model.open.length > 0; n++)
        settle(model.open[Math.floor(step.at * model.open.length)] ?? 0);
    } else if (step.do === 'settle-first') {
      for (const offset of model.open.slice(0, step.times)) {
        settle(offset);
        look(ledger, model, step);
      }
    } else if (step.do === 'advance') {
      ledger.advancePosition(model.position + step.by);
      model.position = Math.max(model.position, model.position + step.by);
    }
    look(ledger, model, step);
  }
}

describe('Ledger, for any interleaving of receiving and settling', () => {
  it('never has a next offset behind an unfinished record', () => {
    fc.assert(
      fc.property(start, steps, (startOffset, plan) => {
        runBoth(startOffset, plan, (ledger, model) => {
          for (const open of model.open) expect(ledger.nextOffset).toBeLessThanOrEqual(open);
        });
      }),
      { numRuns: 150 },
    );
  });

  it('has the first unfinished record as next offset, and the read position when there is none', () => {
    fc.assert(
      fc.property(start, steps, (startOffset, plan) => {
        runBoth(startOffset, plan, (ledger, model) => {
          expect([ledger.nextOffset, ledger.position]).toEqual([model.nextOffset, model.position]);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('counts what is open and what lies ahead as the model does', () => {
    fc.assert(
      fc.property(start, steps, (startOffset, plan) => {
        runBoth(startOffset, plan, (ledger, model) => {
          expect([ledger.openCount, ledger.aheadCount]).toEqual([model.open.length, model.aheadCount]);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('never moves the next offset back', () => {
    fc.assert(
      fc.property(start, steps, (startOffset, plan) => {
        let last = startOffset;
        runBoth(startOffset, plan, (ledger) => {
          expect(ledger.nextOffset).toBeGreaterThanOrEqual(last);
          last = ledger.nextOffset;
        });
      }),
      { numRuns: 100 },
    );
  });

  it('is held up by no offset that was never received: with everything settled the read position is next', () => {
    fc.assert(
      fc.property(start, steps, (startOffset, plan) => {
        let final: (() => void) | undefined;
        runBoth(startOffset, plan, (ledger, model) => {
          final = () => {
            for (const offset of model.open) ledger.settle(offset);
            expect([ledger.nextOffset, ledger.openCount, ledger.aheadCount]).toEqual([model.position, 0, 0]);
          };
        });
        final?.();
      }),
      { numRuns: 150 },
    );
  });

  it('refuses to settle what is not open and to receive what was received, and is the same afterwards', () => {
    const stateOf = ({ nextOffset, position, openCount, aheadCount }: Ledger): unknown[] => [
      ...[nextOffset, position, openCount, aheadCount],
    ];
    fc.assert(
      fc.property(start, steps, (startOffset, plan) => {
        runBoth(startOffset, plan, (ledger, model, step) => {
          if (step.do !== 'wrong') return;
          const before = stateOf(ledger);
          const settled = model.records.filter((one) => !one.isOpen).map((one) => one.offset);
          for (const offset of [startOffset + step.offset, settled[0], settled.at(-1), model.position]) {
            if (offset === undefined) continue;
            expect(ledger.isOpen(offset)).toBe(model.open.includes(offset));
            if (!model.open.includes(offset)) expect(() => ledger.settle(offset)).toThrow(IllegalStateError);
            if (offset < model.position) expect(() => ledger.receive(offset)).toThrow(IllegalStateError);
          }
          expect(stateOf(ledger)).toEqual(before);
        });
      }),
      { numRuns: 150 },
    );
  });
});
