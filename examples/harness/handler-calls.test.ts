import { expect, it } from '@jest/globals';
import type { KafkaRecord } from '@kafka-worker/core';
import { HandlerCalls } from './handler-calls.ts';

it('keeps the last calls of a run without an end, and knows how many came before', async () => {
  const calls = new HandlerCalls([], undefined, 100);
  for (let offset = 0; offset < 1_234; offset++) {
    const record = { topic: 't', partition: 0, offset, key: null } as KafkaRecord<unknown, unknown>;
    await calls.aroundRecord(record, { attempt: 1 }, async () => {});
  }
  expect(calls.calls.length).toBeLessThan(200);
  expect(calls.calls.length + calls.leftOut).toBe(1_234);
  const offsets = calls.calls.map(({ offset }) => offset);
  expect(offsets).toEqual(Array.from(offsets, (_, i) => calls.leftOut + i));
});
