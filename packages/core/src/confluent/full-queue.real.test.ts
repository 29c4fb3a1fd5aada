import { afterAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import type { OutgoingRecord } from '../record.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { confluentKafka } from './index.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const CALL_MS = 10_000;

onRealKafka('messages of a transaction that are more than the queue of the client holds', () => {
  const librdkafka = { 'queue.buffering.max.messages': 50 };
  const kafka = confluentKafka({ brokers: (brokers ?? '').split(','), librdkafka });
  const clients = new TestClients({ cluster: kafka, clock: systemClock, dispose: () => Promise.resolve() });
  const numbers = (topic: string, count: number): OutgoingRecord[] =>
    Array.from({ length: count }, (_, i) => ({ topic, partition: 0, value: String(i) }));
  afterAll(() => clients.close());

  it('are all written, in their order; where nothing makes room, none is, and none of them comes with the next', async () => {
    const topic = await clients.topic(1);
    const producer = await clients.transactional(undefined, false);
    await producer.begin();
    await producer.sendAll(numbers(topic, 2_000), CALL_MS);
    await producer.commit(CALL_MS);
    await producer.begin();
    const lost = [{ topic, partition: 0, value: 'lost' }, ...numbers(uniqueName('unknown'), 200)];
    await expect(producer.sendAll(lost, 500)).rejects.toMatchObject({ code: 'PRODUCE', retriable: true });
    await expect(producer.commit(CALL_MS)).rejects.toMatchObject({ code: 'TRANSACTION', kind: 'abortable' });
    await producer.abort(CALL_MS);
    await producer.begin();
    await producer.sendAll([{ topic, partition: 0, value: 'last' }], CALL_MS);
    await producer.commit(CALL_MS);
    const reader = await clients.member([topic], { groupProtocol: 'classic' });
    await reader.untilRecords(2_001);
    const written = Array.from({ length: 2_000 }, (_, i) => String(i));
    expect(reader.records.map(({ value }) => String(value))).toEqual([...written, 'last']);
  }, 60_000);
});
