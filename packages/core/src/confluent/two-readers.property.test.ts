import { beforeAll, it } from '@jest/globals';
import fc from 'fast-check';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { logWithOldMessages, TwoReadersUnderTest } from '../testing/two-readers-under-test.ts';
import { pauseFor } from './bounded.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';

const END = 30;
const PARTITIONS = 3;
const WAIT_MS = 20_000;
const topic = 't';

type Step =
  | { readonly type: 'take'; readonly max: number }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'pause' | 'resume' | 'revoke'; readonly partition: number }
  | { readonly type: 'seek' | 'assign' | 'assignInTurn'; readonly partition: number; readonly offset: number };

const partition = fc.nat({ max: PARTITIONS - 1 });
const offset = fc.nat({ max: END });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('take' as const), max: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.nat({ max: 120 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constantFrom('pause' as const, 'resume' as const, 'revoke' as const), partition }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('seek' as const, 'assign' as const, 'assignInTurn' as const),
      partition,
      offset,
    }),
  },
);

let library: DirectLibrary;
beforeAll(async () => {
  library = await loadDirectLibrary();
});

/** What has to come of each partition next, and whether it may. */
class Expected {
  readonly next = new Map<number, number>();
  readonly paused = new Set<number>();
  readonly #both: TwoReadersUnderTest;

  constructor(both: TwoReadersUnderTest) {
    this.#both = both;
  }

  take(max: number): void {
    const { records, positions } = this.#both.take(max);
    if (records.length > max) throw new Error(`${records.length} of ${max}`);
    for (const { partition: from, offset: at, value } of records) {
      const next = this.next.get(from);
      if (next !== at || this.paused.has(from) || String(value) !== `v${at}`)
        throw new Error(
          `${from}: ${at} (${value}) came, not ${next}${this.paused.has(from) ? ', and it is paused' : ''}`,
        );
      this.next.set(from, at + 1);
    }
    for (const { partition: of, offset: end } of positions)
      if (this.next.get(of) !== end) throw new Error(`${of}: position ${end}, not ${this.next.get(of)}`);
  }

  async run(one: Step): Promise<void> {
    const both = this.#both;
    if (one.type === 'take') this.take(one.max);
    else if (one.type === 'wait') await pauseFor(one.ms);
    else if (one.type === 'assign' || one.type === 'assignInTurn') {
      if (this.next.has(one.partition)) return;
      this.next.set(one.partition, one.offset);
      both[one.type](one.partition, one.offset);
    } else if (!this.next.has(one.partition)) return;
    else if (one.type === 'seek') {
      this.next.set(one.partition, one.offset);
      await both.seek(one.partition, one.offset);
    } else if (one.type === 'revoke') {
      both.withhold(one.partition);
      this.next.delete(one.partition);
      this.paused.delete(one.partition);
      this.take(5);
      both.release(one.partition);
    } else {
      both.reader[one.type]([{ topic, partition: one.partition }]);
      if (one.type === 'pause') this.paused.add(one.partition);
      else this.paused.delete(one.partition);
    }
  }

  /** All that there is. */
  async rest(): Promise<void> {
    const partitions = Array.from(this.next.keys(), (one) => ({ topic, partition: one }));
    this.paused.clear();
    this.#both.reader.resume(partitions);
    const deadline = Date.now() + WAIT_MS;
    while (Array.from(this.next.values()).some((next) => next < END)) {
      if (Date.now() > deadline) throw new Error(`it does not go on: ${JSON.stringify([...this.next])}`);
      this.take(10);
      await pauseFor(2);
    }
  }
}

it('two readers lose nothing, repeat nothing and keep the order, whatever happens to partitions that move between them', async () => {
  const broker = await new ScriptedBroker(1).start();
  broker.leaders = Array.from({ length: PARTITIONS }, () => ({ id: 1, epoch: 5 }));
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(offset, { maxLength: PARTITIONS, minLength: PARTITIONS }),
        fc.array(step, { minLength: 5, maxLength: 25 }),
        async (old, steps) => {
          broker.answer = logWithOldMessages(END, (of, at) => old[of] === at);
          const both = new TwoReadersUnderTest(broker, library, END);
          try {
            const expected = new Expected(both);
            // The turn that it starts with is over.
            await pauseFor(5);
            for (let i = 0; i < PARTITIONS; i++) await expected.run({ type: 'assignInTurn', partition: i, offset: 0 });
            for (const one of steps) await expected.run(one);
            await expected.rest();
          } finally {
            await both.stop();
          }
        },
      ),
      { numRuns: 25 },
    );
  } finally {
    await broker.stop();
  }
}, 180_000);
