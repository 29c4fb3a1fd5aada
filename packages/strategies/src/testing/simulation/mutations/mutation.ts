import type { KafkaConsumer } from '@kafka-worker/core';
import type { Invariant } from '../invariants.ts';
import type { Tampering } from '../simulated-world.ts';

/** A rule that is broken on purpose, to see that the simulation notices. */
export interface Mutation {
  /** What the worker does wrong. */
  readonly name: string;
  readonly breaks: Invariant;
  /** It is a rule of `exactlyOnce()`; the others are looked for where that is not in the way. */
  readonly isOfTransactions?: boolean;
  /** Replaces something inside the worker, until the returned function is called. */
  readonly install?: () => () => void;
  /** Or gives it other options, or another client. */
  readonly tampering?: Tampering;
}

/** The same consumer, of which some methods do something else. */
export function tampered(consumer: KafkaConsumer, replaced: Partial<KafkaConsumer>): KafkaConsumer {
  return new Proxy(consumer, {
    get: (target, name): unknown => {
      const member: unknown = Reflect.get(name in replaced ? replaced : target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}
