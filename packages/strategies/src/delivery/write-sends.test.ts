import { describe, expect, it } from '@jest/globals';
import { type KeptSend, type OutgoingRecord, ProduceError, type TransactionalProducer } from '@kafka-worker/core';
import type { SendOf } from './send-window.ts';
import { writeSends } from './write-sends.ts';

const progress = { topic: 'in', partition: 0, offset: 100_000 };
const delivered = { topic: 'out', partition: 0, offset: 0 };

describe('what a transaction writes', () => {
  it('is handed over in its order, and never more than 5,000 messages wait for their answer', async () => {
    const producer = new HeldProducer();
    const written = writeSends(producer.port, sendsOf(12_000), new WeakSet(), () => 0, 1_000);
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
    const written = writeSends(producer.port, sendsOf(3), new WeakSet(), () => 0, 1_000).finally(() => {
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
      const written = writeSends(producer.port, sends, new WeakSet(), () => 0, 1_000).finally(() => {
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
    await expect(writeSends(producer.port, sendsOf(2), new WeakSet(), () => 0, 1_000)).rejects.toBe(error);
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
