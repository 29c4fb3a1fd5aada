import {
  type KafkaWorkerError,
  type KeptSend,
  type PartitionProgress,
  ProduceError,
  type TransactionalProducer,
  type UnwritableSend,
} from '@kafka-worker/core';

/** A message, and the partition whose record has sent it. */
export type SendOf = readonly [PartitionProgress, KeptSend];

/** So many messages are handed over at once: the client's own queue is bounded. */
const CHUNK = 5_000;

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
  let waiting: Sending[] = [];
  const settled = async (): Promise<readonly UnwritableSend[]> => {
    const sent = waiting;
    waiting = [];
    return refusedOf(sent, suspects);
  };
  for (const one of sends) {
    const [, send] = one;
    const isAlone = suspects.has(send);
    if (isAlone || waiting.length >= CHUNK) {
      const refused = await settled();
      if (refused.length > 0) return refused;
    }
    waiting.push({ one, outcome: outcomeOf(producer, send) });
    if (!isAlone) continue;
    const refused = await settled();
    if (refused.length > 0) return refused;
    suspects.delete(send);
    if (now() >= deadline)
      throw new Error('a batch of messages was refused, and it is not known yet for which of them');
  }
  return settled();
}

/** Whatever was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

/** A message that is on its way; its outcome is what it failed with, and never rejects. */
interface Sending {
  readonly one: SendOf;
  readonly outcome: Promise<Error | undefined>;
}

/** Its own function, so that what is thrown at once is a failure like any other. */
async function outcomeOf(producer: TransactionalProducer, { message }: KeptSend): Promise<Error | undefined> {
  try {
    await producer.send(message);
    return undefined;
  } catch (thrown) {
    return asError(thrown);
  }
}

async function refusedOf(sent: readonly Sending[], suspects: WeakSet<KeptSend>): Promise<readonly UnwritableSend[]> {
  const outcomes = await Promise.all(sent.map(({ outcome }) => outcome));
  const refused: UnwritableSend[] = [];
  const unclear: KeptSend[] = [];
  let other: Error | undefined;
  for (const [i, { one }] of sent.entries()) {
    const error = outcomes[i];
    if (error === undefined) continue;
    const [{ topic, partition }, send] = one;
    if (!isUnwritable(error)) other ??= error;
    else if (sent.length > 1 && BATCH_CODES.has(codeOf(error))) unclear.push(send);
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
