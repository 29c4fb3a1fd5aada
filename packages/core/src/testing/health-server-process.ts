// A process that serves a worker's health and then has nothing more to do. Argument: 'close', or anything else to leave the server open.
import { healthServer } from '../health-server.ts';
import { Worker } from '../worker.ts';
import { fakeKafka } from './fake-kafka.ts';

const worker = new Worker({ kafka: fakeKafka(), groupId: 'g', topics: 't', handler: () => {} });
const server = await healthServer(worker, { port: 0, host: '127.0.0.1' });
await (await fetch(`${server.url}/live`)).text();
if (process.argv[2] === 'close') await server[Symbol.asyncDispose]();
console.log('done');
