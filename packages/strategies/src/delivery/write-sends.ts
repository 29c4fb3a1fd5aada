import {
  type KafkaWorkerError,
  type KeptSend,
  ProduceError,
  type TransactionalProducer,
  type UnwritableSend,
} from '@kafka-worker/core';
import { type FailedSend, type SendOf, SendWindow } from './send-window.ts';

/** So many messages are on their way at once. */
const WINDOW = 5_000;

/** What a broker says of a whole batch of messages for the sake of one of them: invalid, too large, a batch too large, not what the topic takes. */
const BATCH_CODES: ReadonlySet<unknown> = new Set([2, 10, 18, 87]);

/** Into so many parts are those divided that were refused together. */
const PARTS = 32;

/** Messages were refused together: which of them it is for the next transaction tells, or at least says more. */
export class RefusedTogether extends Error {
  constructor(messages: number) {
    super(`${messages} messages were refused together: which of them it is for is found out in parts`);
  }
}

/** Messages that were refused together, so that nobody knows yet for which of them: each with its part, which is written by itself next time. */
export type Suspects = WeakMap<KeptSend, object>;

/**
 * Produces messages into the open transaction, in their order, and gives those that can never be written; rejects when something else is in the way. Those
 * that were refused together become `suspects`, whose parts are told apart in the next transaction, and smaller ones in the one after that.
 * @throws RefusedTogether
 */
export async function writeSends(
  producer: TransactionalProducer,
  sends: readonly SendOf[],
  suspects: Suspects,
): Promise<readonly UnwritableSend[]> {
  const window = new SendWindow(producer, WINDOW);
  let part: object | undefined;
  for (const one of sends) {
    const own = suspects.get(one[1]) ?? part;
    if (window.isFull) await window.room();
    if (own !== part || window.hasFailed) {
      const unwritable = refusedOf(await window.settled(), suspects);
      if (unwritable.length > 0) return unwritable;
    }
    part = own;
    window.send(one);
  }
  return refusedOf(await window.settled(), suspects);
}

function refusedOf(failed: readonly FailedSend[], suspects: Suspects): readonly UnwritableSend[] {
  const refused: UnwritableSend[] = [];
  const together: UnwritableSend[] = [];
  let other: Error | undefined;
  for (const { of, error } of failed) {
    const [{ topic, partition }, send] = of;
    if (!isUnwritable(error)) other ??= error;
    else (BATCH_CODES.has(codeOf(error)) ? together : refused).push({ topic, partition, send, error });
  }
  // Refused with nobody else: it was the reason.
  if (together.length === 1) refused.push(...together);
  if (refused.length > 0) return refused;
  if (together.length > 0) {
    const parts = Array.from({ length: PARTS }, () => ({}));
    for (const [i, { send }] of together.entries())
      suspects.set(send, parts[Math.floor((i * PARTS) / together.length)] as object);
    throw new RefusedTogether(together.length);
  }
  if (other !== undefined) throw other;
  return [];
}

function isUnwritable(error: Error): boolean {
  const { code, retriable } = error as Partial<KafkaWorkerError>;
  return code === 'INVALID_OPTION' || (error instanceof ProduceError && retriable === false);
}

/** Kafka's code, of which the adapter keeps the native error. */
function codeOf({ cause }: Error): unknown {
  return typeof cause === 'object' && cause !== null ? (cause as { readonly code?: unknown }).code : undefined;
}
