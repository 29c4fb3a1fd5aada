import { describe, expect, it } from '@jest/globals';
import { type KeptSend, type OutgoingRecord, ProduceError, type TransactionalProducer } from '@kafka-worker/core';
import type { SendOf } from './send-window.ts';
import { type Suspects, writeSends } from './write-sends.ts';

const progress = { topic: 'in', partition: 0, offset: 100_000 };
const delivered = { topic: 'out', partition: 0, offset: 0 };

describe('what a transaction writes', () => {
  it('is handed over in its order, and never more than 5,000 messages wait for their answer', async () => {
    const producer = new HeldProducer();
    const written = writeSends(producer.port, sendsOf(12_000), new WeakMap());
    let most = 0;
    while (producer.handed.length < 12_000) {
      await turn();
      most = Math.max(most, producer.waiting.length);
      for (const answer of producer.waiting.splice(0, 700)) answer();
    }
    for (const answer of producer.waiting.splice(0)) answer();
    expect(await written).toEqual([]);
    expect(most).toBe(5_000);
    expect(producer.handed).toEqual(sendsOf(12_000).map(([, { message }]) => message.value));
  });

  it('is over when everything is answered, not before', async () => {
    const producer = new HeldProducer();
    let isOver = false;
    const written = writeSends(producer.port, sendsOf(3), new WeakMap()).finally(() => {
      isOver = true;
    });
    await turn();
    for (const answer of producer.waiting.splice(0, 2)) answer();
    await turn();
    expect(isOver).toBe(false);
    producer.waiting[0]?.();
    await written;
  });

  it.each([
    ['at once', true],
    ['later', false],
  ])(
    'stops soon behind a message that can never be written, and says which it is: refused %s',
    async (_when, isThrown) => {
      const sends = sendsOf(20_000);
      const error = new ProduceError('out', 'denied');
      const producer = new HeldProducer((message) => {
        if (message.value !== '7') return undefined;
        if (isThrown) throw error;
        return Promise.reject(error);
      });
      let isOver = false;
      const written = writeSends(producer.port, sends, new WeakMap()).finally(() => {
        isOver = true;
      });
      while (!isOver) {
        await turn();
        for (const answer of producer.waiting.splice(0)) answer();
      }
      expect(await written).toEqual([{ topic: 'in', partition: 0, send: sends[7]?.[1], error }]);
      expect(producer.handed.length).toBeLessThanOrEqual(5_001);
    },
  );

  it('is dropped for a failure that says nothing about its messages', async () => {
    const error = new ProduceError('out', 'gone', { retriable: true });
    const producer = new HeldProducer(() => Promise.reject(error));
    await expect(writeSends(producer.port, sendsOf(2), new WeakMap())).rejects.toBe(error);
  });
});

describe('messages that are refused together for the sake of one', () => {
  const count = 10_000;

  /** As a broker does: a batch that has one of these in it is refused as a whole. */
  class Batches {
    readonly written: unknown[] = [];
    #batch: { readonly value: unknown; readonly done: (error?: Error) => void }[] = [];
    readonly port: TransactionalProducer;

    constructor(culprits: ReadonlySet<unknown>) {
      this.port = {
        send: ({ value }: OutgoingRecord) =>
          new Promise((resolve, reject) => {
            const done = (error?: Error): void => (error === undefined ? resolve(delivered) : reject(error));
            if (this.#batch.push({ value, done }) > 1) return;
            setImmediate(() => {
              const batch = this.#batch;
              this.#batch = [];
              const isRefused = batch.some((one) => culprits.has(one.value));
              if (!isRefused) this.written.push(...batch.map((one) => one.value));
              const cause = { code: 87, message: 'invalid record' };
              for (const one of batch) one.done(isRefused ? new ProduceError('out', 'refused', { cause }) : undefined);
            });
          }),
      } as TransactionalProducer;
    }
  }

  it.each([0, 4_999, 5_000, 9_999])(
    'are told apart within a few transactions, in order: number %i',
    async (culprit) => {
      const sends = sendsOf(count);
      const suspects: Suspects = new WeakMap();
      for (let transactions = 1; ; transactions++) {
        const batches = new Batches(new Set([String(culprit)]));
        const refused = await writeSends(batches.port, sends, suspects).catch((error: unknown) => error);
        expect(batches.written).toEqual(sends.slice(0, batches.written.length).map(([, { message }]) => message.value));
        expect(transactions).toBeLessThanOrEqual(5);
        if (refused instanceof Error) continue;
        expect(refused).toMatchObject([{ send: sends[culprit]?.[1] }]);
        return;
      }
    },
  );

  it('are each found when there are several, and what is left is written', async () => {
    const culprits = new Set(['17', '18', '5000', '9998']);
    let sends = sendsOf(count);
    const suspects: Suspects = new WeakMap();
    const found: unknown[] = [];
    for (let transactions = 1; ; transactions++) {
      expect(transactions).toBeLessThanOrEqual(30);
      const batches = new Batches(culprits);
      const refused = await writeSends(batches.port, sends, suspects).catch((error: unknown) => error);
      if (refused instanceof Error) continue;
      const unwritable = refused as Awaited<ReturnType<typeof writeSends>>;
      if (unwritable.length === 0) {
        expect(batches.written).toHaveLength(count - culprits.size);
        break;
      }
      for (const { send } of unwritable) found.push(send.message.value);
      sends = sends.filter(([, send]) => !unwritable.some((one) => one.send === send));
    }
    expect(new Set(found)).toEqual(culprits);
    expect(found).toHaveLength(culprits.size);
  });
});

/** Answers what it is told to. */
class HeldProducer {
  readonly handed: unknown[] = [];
  readonly waiting: (() => void)[] = [];
  readonly port: TransactionalProducer;

  constructor(answer: (message: OutgoingRecord) => Promise<typeof delivered> | undefined = () => undefined) {
    this.port = {
      send: (message: OutgoingRecord) => {
        this.handed.push(message.value);
        return answer(message) ?? new Promise((resolve) => this.waiting.push(() => resolve(delivered)));
      },
    } as TransactionalProducer;
  }
}

function sendsOf(count: number): SendOf[] {
  return Array.from({ length: count }, (_, offset) => {
    const send: KeptSend = { offset, message: { topic: 'out', value: String(offset) } };
    return [progress, send] as const;
  });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
