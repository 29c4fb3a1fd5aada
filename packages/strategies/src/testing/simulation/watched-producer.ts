import { isKafkaWorkerError, type NextOffset, type TransactionalProducer, TransactionError } from '@kafka-worker/core';
import type { Oracle } from './oracle.ts';
import { type Output, outputOf } from './outputs.ts';

/** The transaction that is open, as the broker will see it. */
interface Transaction {
  readonly sends: Output[];
  offsets: readonly NextOffset[];
  /** To be told whether its offsets were committed. */
  answered: ((isAcknowledged: boolean) => void) | undefined;
  isJudged: boolean;
}

type Watched = Pick<TransactionalProducer, 'begin' | 'send' | 'sendAll' | 'sendOffsets' | 'commit' | 'abort' | 'close'>;

/** A process's transactional producer that tells the oracle what it writes, and does nothing more when the process is dead. */
export function watchedProducer(
  producer: TransactionalProducer,
  { name, isDead, oracle }: { readonly name: string; readonly isDead: () => boolean; readonly oracle: Oracle },
): TransactionalProducer {
  let open: Transaction = newTransaction();
  const end = (isAcknowledged: boolean): void => {
    open.answered?.(isAcknowledged);
    open.answered = undefined;
  };
  const watched: Watched = {
    begin: () => {
      end(false);
      open = newTransaction();
      return producer.begin();
    },
    send: (message) => {
      open.sends.push(outputOf(message));
      return producer.send(message);
    },
    sendAll: (messages, timeoutMs) => {
      const all = [...messages];
      open.sends.push(...all.map(outputOf));
      return producer.sendAll(all, timeoutMs);
    },
    sendOffsets: async (offsets, consumer, timeoutMs) => {
      open.offsets = offsets;
      open.answered ??= oracle.ownership.committing(name, offsets);
      await producer.sendOffsets(offsets, consumer, timeoutMs);
      oracle.accepted(name, offsets);
    },
    commit: async (timeoutMs) => {
      const written = open.sends.map(({ id }) => id).join();
      if (!open.isJudged) {
        oracle.note(
          `${name} commits ${open.offsets.map((one) => `${one.partition}@${one.offset}`).join()} with [${written}]`,
        );
        oracle.outputs.transaction(name, open.sends, open.offsets);
      }
      open.isJudged = true;
      try {
        await producer.commit(timeoutMs);
        end(true);
      } catch (error) {
        // Not its text, which names an id that is another one each time.
        const kind = error instanceof TransactionError ? error.kind : String(error);
        oracle.note(`${name} cannot commit: ${kind}`);
        if (!isKafkaWorkerError(error) || !error.retriable) end(false);
        throw error;
      }
    },
    abort: async (timeoutMs) => {
      oracle.note(`${name} aborts`);
      end(false);
      await producer.abort(timeoutMs);
    },
    close: (timeoutMs) => {
      end(false);
      return producer.close(timeoutMs);
    },
  };
  return new Proxy(producer, {
    get: (target, key): unknown => {
      const member: unknown = Reflect.get(key in watched ? watched : target, key);
      if (typeof member !== 'function') return member;
      const bound = member.bind(target) as (...args: unknown[]) => unknown;
      // What a dead process still calls is heard by nobody.
      return (...args: unknown[]): unknown => (isDead() ? new Promise(() => {}) : bound(...args));
    },
  });
}

function newTransaction(): Transaction {
  return { sends: [], offsets: [], answered: undefined, isJudged: false };
}
