import type { Progress } from '@kafka-worker/core';
import type { Claim, Stored } from './claim.ts';

/** The records of a call that are of one partition. */
export interface CallPart {
  readonly claim: Claim;
  readonly offsets: readonly number[];
}

/** All records of the call were stored by another attempt of it: this one is rolled back, and they are done all the same. */
export class DoneElsewhere extends Error {
  override readonly name = 'DoneElsewhere';
}

/** Some records of a call are stored already, by an attempt that was given up. */
export class DoneInPart extends Error {
  override readonly name = 'DoneInPart';
}

/** Waits until nobody else is storing these, and keeps others from it. */
export async function beginStoring(parts: readonly CallPart[]): Promise<() => void> {
  for (;;) {
    const other = parts.map(({ claim, offsets }) => claim.storing(offsets)).find((one) => one !== undefined);
    if (other === undefined) break;
    await other;
  }
  const states = parts.flatMap(({ claim, offsets }) => offsets.map((offset) => claim.isFinished(offset)));
  if (states.every((isDone) => isDone)) throw new DoneElsewhere();
  if (states.some((isDone) => isDone))
    throw new DoneInPart('some records of a batch are done already, and others are not');
  const ends = parts.map(({ claim, offsets }) => claim.beginStoring(offsets));
  return () => {
    for (const end of ends) end();
  };
}

/** What a transaction with these records stores: the frontier where they move it, a row for each that lies above it. */
export function storedOf(parts: readonly CallPart[], { partitions }: Progress): readonly (readonly [Claim, Stored])[] {
  return parts.map(({ claim, offsets }) => {
    const next = partitions.find((one) => one.topic === claim.topic && one.partition === claim.partition);
    const frontier = Math.max(next?.offset ?? 0, claim.nextOffset ?? 0);
    const moves = frontier !== claim.nextOffset;
    const finished = offsets.filter((offset) => offset >= frontier);
    return [claim, { nextOffset: moves ? frontier : undefined, metadata: next?.metadata, finished }] as const;
  });
}
