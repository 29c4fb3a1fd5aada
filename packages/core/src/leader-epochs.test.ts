import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LeaderEpochs } from './leader-epochs.ts';

describe('LeaderEpochs', () => {
  it('begins with what stands with the committed offset', () => {
    expect(new LeaderEpochs(10, 3).before(10)).toBe(3);
    expect(new LeaderEpochs(10, undefined).before(10)).toBeUndefined();
  });

  it('gives the epoch in which what is below was written', () => {
    const epochs = new LeaderEpochs(0, undefined);
    for (let offset = 0; offset < 10; offset++) epochs.moved(offset, offset < 5 ? 1 : 2);
    expect([4, 5, 6, 10].map((offset) => epochs.before(offset))).toEqual([1, 1, 2, 2]);
  });

  it('says of an offset that nothing was received from only what was read before', () => {
    const epochs = new LeaderEpochs(10, 1);
    epochs.moved(10, 3);
    expect([10, 11].map((offset) => epochs.before(offset))).toEqual([1, 3]);
  });

  it('knows what was the same before and after it was unknown', () => {
    const epochs = new LeaderEpochs(0, 1);
    epochs.moved(4, undefined);
    epochs.moved(9, 1);
    expect([4, 5, 9, 10].map((offset) => epochs.before(offset))).toEqual([1, 1, 1, 1]);
  });

  it('gives what lies in a gap the epoch of the record behind it, for the one before it may have ended in it', () => {
    const epochs = new LeaderEpochs(0, 1);
    epochs.moved(0, 1);
    // What lay between was deleted by compaction.
    epochs.moved(1, 4);
    expect(epochs.before(7)).toBe(4);
  });

  it('says nothing of where a position has moved to without an epoch, and knows what was exact', () => {
    const epochs = new LeaderEpochs(0, 1);
    epochs.moved(0, 1);
    epochs.moved(1, undefined);
    expect([epochs.before(1), epochs.before(2)]).toEqual([1, undefined]);
    epochs.moved(2, 1);
    expect([epochs.before(1), epochs.before(2), epochs.before(3)]).toEqual([1, 1, 1]);
  });

  it('forgets what nobody asks for any more, and no more than that', () => {
    const epochs = new LeaderEpochs(0, 0);
    for (let offset = 0; offset < 100; offset++) epochs.moved(offset, Math.floor(offset / 10));
    epochs.forget(55);
    expect([55, 61, 100].map((offset) => epochs.before(offset))).toEqual([5, 6, 9]);
    expect(epochs.before(49)).toBeUndefined();
  });

  /** Where each epoch ends in a log, as its leader tells: a next offset beyond that is taken for another log's. */
  const endsOf = (log: readonly (number | undefined)[]): ((epoch: number) => number) => {
    return (epoch) => {
      const next = log.findIndex((one) => one !== undefined && one > epoch);
      return next < 0 ? log.length : next;
    };
  };

  it('never gives an epoch that ends below the offset, whatever was deleted from the log and whatever was forgotten', () => {
    const steps = fc.array(fc.record({ epochs: fc.nat(2), isRecord: fc.boolean(), isTold: fc.boolean() }), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(steps, fc.nat(), (written, seed) => {
        let epoch = 0;
        const log = written.map((step) => {
          epoch += step.epochs;
          return epoch;
        });
        const endOf = endsOf(log);
        const epochs = new LeaderEpochs(0, undefined);
        let position = 0;
        for (const [offset, { isRecord, isTold }] of written.entries()) {
          // What was deleted is passed over; the end of what there is may come with its epoch, or without.
          const isEnd = offset === written.length - 1;
          if (!isRecord && !isEnd) continue;
          epochs.moved(position, isRecord || isTold ? log[offset] : undefined);
          position = offset + 1;
        }
        const forgotten = seed % (position + 1);
        epochs.forget(forgotten);
        for (let next = forgotten; next <= position; next++) {
          const known = epochs.before(next);
          if (known !== undefined) expect(endOf(known)).toBeGreaterThanOrEqual(next);
          // Nor one that had not begun: a log that has lost what is below would not be noticed.
          const written0 = log[next - 1];
          if (known !== undefined && written0 !== undefined) expect(known).toBeGreaterThanOrEqual(written0);
          // What was received last before it tells exactly.
          if (written[next - 1]?.isRecord === true) expect(known).toBe(written0);
        }
      }),
    );
  });
});
