// A contestant of the benchmark `throughput`, in a process of its own, which is told who it is as JSON. It reads what it is sent, as often as it is.

import { perKey, serial } from '@kafka-worker/strategies';
import { readRaw } from '../raw-loop.ts';
import { readByWorker } from '../worker-loop.ts';
import type { Contestant, Reading, ReadOrder } from './contestant.ts';
import { handlerFor, type Tally } from './touches.ts';
import { watchStrain } from './watch-strain.ts';

const { client, concurrency = 'serial', touch = 'reads' } = JSON.parse(process.argv[2] ?? '') as Contestant;

process.on('message', (order: ReadOrder) => {
  void read(order).then(
    (reading) => process.send?.({ reading }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
  );
});
process.send?.({ isReady: true });

async function read(order: ReadOrder): Promise<Reading> {
  const tally: Tally = { bytes: 0 };
  let ended: ReturnType<typeof watchStrain> | undefined;
  const seconds = await readWith(order, tally, () => {
    ended = watchStrain();
  });
  if (ended === undefined || tally.bytes < order.records) throw new Error('nothing was read');
  return { seconds, ...ended() };
}

async function readWith(order: ReadOrder, tally: Tally, started: () => void): Promise<number> {
  const { brokers, topic, records } = order;
  if (client === 'raw') return readRaw(brokers, topic, records, tally, started);
  if (client === 'kafkajs') {
    // Only where it is wanted: it would count as memory of the others.
    const { readByKafkajs } = await import('./kafkajs-loop.ts');
    return readByKafkajs(order, tally, started);
  }
  return readByWorker({
    ...{ brokers, topic, until: records, reader: client, started, handler: handlerFor(touch, tally) },
    concurrency: { serial, perKey }[concurrency](),
  });
}
