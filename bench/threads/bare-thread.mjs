// Runs the busy handler as often as it is told, without a worker around it: what the machine itself has to give.
import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';

// In threads of Node 20 tsx loads TypeScript for `require` alone: https://github.com/nodejs/node/issues/47747
const { default: busy } = createRequire(import.meta.url)('./busy-handler.ts');

parentPort.on('message', (times) => {
  for (let i = 0; i < times; i++) busy();
  parentPort.postMessage('done');
});
