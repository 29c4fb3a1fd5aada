// Runs the busy handler as often as it is told, without a worker around it: what the machine itself has to give.
import { parentPort } from 'node:worker_threads';
import busy from './busy-handler.ts';

parentPort?.on('message', (times: number) => {
  for (let i = 0; i < times; i++) busy();
  parentPort?.postMessage('done');
});
