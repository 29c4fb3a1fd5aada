// A worker with a health file, whose handler holds the event loop. Arguments: the file's path, for how many milliseconds. Writes what happens, a line each.
import { writeSync } from 'node:fs';
import { healthFile } from '../health-file.ts';
import { Worker } from '../worker.ts';
import { embeddedKafka } from './embedded-kafka.ts';

const say = (line: string): void => void writeSync(1, `${line}\n`);
const [path = '', forMs = ''] = process.argv.slice(2);
const kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
const worker = new Worker({
  ...{ kafka, groupId: 'g', topics: 't' },
  handler: () => {
    say('blocked');
    const startedAt = performance.now();
    while (performance.now() - startedAt < Number(forMs));
    say('free');
  },
});
const file = healthFile(worker, { path, everyMs: 50 });
await worker.start();
process.stdin.once('data', () => void kafka.send([{ topic: 't', value: 'a' }]));
await new Promise((resolve) => process.stdin.once('end', resolve));
await worker.stop();
await file[Symbol.asyncDispose]();
await kafka[Symbol.asyncDispose]();
