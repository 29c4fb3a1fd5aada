// Loads what a direct reader needs, once, in a process that has done nothing else: node load.mjs MODULE [FUNCTION TO CALL]
// Plain JavaScript, and no loader beside it: the module is one that was built.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const RESOLUTION_MS = 1;
const AROUND_MS = 50;

const [module, name] = process.argv.slice(2);
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
await sleep(AROUND_MS);
delay.reset();
const startedAt = performance.now();
const loaded = await import(module);
if (name !== undefined) await loaded[name]();
const loadMs = performance.now() - startedAt;
await sleep(AROUND_MS);
console.log(JSON.stringify({ loadMs, stallMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS) }));
