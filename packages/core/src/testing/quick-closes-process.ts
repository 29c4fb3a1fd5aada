// Connects clients and closes them at once, in odd moments, for a test that sees it come through. Arguments: how often, seed.
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../clock.ts';
import type { KafkaConsumer } from '../kafka-client.ts';
import { isKafkaWorkerError } from '../kafka-worker-error.ts';
import { embeddedKafka } from './embedded-kafka.ts';

const [times = '200', seed = '1'] = process.argv.slice(2);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const client = { clock: systemClock, logger: quiet };

let state = Number(seed);
/** 0 to n - 1, the same for the same seed. */
function pick(n: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) % n;
}

/** Runs it; what it refuses is fine, what is no error of this library is not. */
async function attempt(run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!isKafkaWorkerError(error)) throw error;
  }
}

/** What may happen to a consumer in any moment, whether or not it fits. */
function oddThings(consumer: KafkaConsumer): (() => unknown)[] {
  const p = { topic: 't', partition: pick(4) };
  const start = { ...p, offset: pick(30) };
  return [
    () => consumer.seek([start]),
    () => consumer.pause([p]),
    () => consumer.resume([p]),
    () => consumer.assign([start]),
    () => consumer.release([p]),
    () => consumer.commit([start]),
    () => consumer.committed([p]),
    () => consumer.offsetsFor([p], 'high-watermark'),
    () => consumer.subscribe(['t', 'u']),
    () => consumer.watermarks(p),
    () => consumer.close(),
  ];
}

async function pollOnce(consumer: KafkaConsumer): Promise<void> {
  for (const { type, partitions } of (await consumer.poll(10, 5)).events) {
    // Some are never answered: closing has to.
    if (pick(4) === 0) continue;
    if (type === 'assigned') consumer.assign(partitions.map((one) => ({ ...one, offset: 0 })));
    else consumer.release(partitions);
  }
}

async function cycle(i: number): Promise<void> {
  const groupProtocol = pick(2) === 0 ? 'classic' : 'consumer';
  const consumer = kafka.consumer({ ...client, groupId: `g${i % 3}`, groupProtocol });
  const connecting = attempt(() => consumer.connect({ timeoutMs: 300 }));
  const doing: Promise<void>[] = [];
  if (pick(3) > 0) await (pick(2) === 0 ? connecting : pause(pick(20)));
  await attempt(() => consumer.subscribe(['t']));
  for (let step = pick(12); step > 0; step--) {
    const things = oddThings(consumer);
    doing.push(attempt(things[pick(things.length)] as () => unknown));
    await attempt(() => pollOnce(consumer));
  }
  await Promise.all([consumer.close(), consumer.close()]);
  await Promise.all([connecting, ...doing]);
}

const kafka = await embeddedKafka({ topics: { t: { partitions: 4 }, u: { partitions: 1 } } });
await kafka.send(Array.from({ length: 100 }, (_, i) => ({ topic: 't', partition: i % 4, value: String(i) })));
try {
  // Two at a time: closing while the other one joins, leaves or closes.
  for (let i = 0; i < Number(times); i += 2) {
    await Promise.all([cycle(i), cycle(i + 1)]);
  }
  writeSync(1, 'done\n');
} catch (error) {
  process.exitCode = 1;
  writeSync(2, `${(error as Error).stack}\n`);
}
await kafka[Symbol.asyncDispose]();
