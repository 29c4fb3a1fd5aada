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

/**
 * Produces messages into the open transaction, in their order, and gives those that can never be written; rejects when something else is in the way. Those
 * that were refused together become `suspects`: in the next transaction each of them is written alone, until it is known which one it is.
 * @param suspectsMs how long writing alone may take, before what is cleared by then is enough for this time
 */
export async function writeSends(
  producer: TransactionalProducer,
  sends: readonly SendOf[],
  suspects: WeakSet<KeptSend>,
  now: () => number,
  suspectsMs: number,
): Promise<readonly UnwritableSend[]> {
  const deadline = now() + suspectsMs;
  const window = new SendWindow(producer, WINDOW);
  const refused = async (): Promise<readonly UnwritableSend[]> => {
    const { sentCount } = window;
    return refusedOf(await window.settled(), sentCount, suspects);
  };
  for (const one of sends) {
    const [, send] = one;
    const isAlone = suspects.has(send);
    if (window.isFull) await window.room();
    if (isAlone || window.hasFailed) {
      const unwritable = await refused();
      if (unwritable.length > 0) return unwritable;
    }
    window.send(one);
    if (!isAlone) continue;
    const unwritable = await refused();
    if (unwritable.length > 0) return unwritable;
    suspects.delete(send);
    if (now() >= deadline)
      throw new Error('a batch of messages was refused, and it is not known yet for which of them');
  }
  return refused();
}

function refusedOf(
  failed: readonly FailedSend[],
  sentCount: number,
  suspects: WeakSet<KeptSend>,
): readonly UnwritableSend[] {
  const refused: UnwritableSend[] = [];
  const unclear: KeptSend[] = [];
  let other: Error | undefined;
  for (const { of, error } of failed) {
    const [{ topic, partition }, send] = of;
    if (!isUnwritable(error)) other ??= error;
    else if (sentCount > 1 && BATCH_CODES.has(codeOf(error))) unclear.push(send);
    else refused.push({ topic, partition, send, error });
  }
  if (refused.length > 0) return refused;
  if (unclear.length > 0) {
    for (const send of unclear) suspects.add(send);
    throw new Error('a batch of messages was refused: each of them is written alone next time, to find out for which');
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
