// In what order, and how many at once?
export type { PerPartitionOptions } from './concurrency/per-partition.ts';
export { perPartition } from './concurrency/per-partition.ts';
export { serial } from './concurrency/serial.ts';
// What is promised?
export { atLeastOnce } from './delivery/at-least-once.ts';
// What happens when the handler fails?
export { retry } from './failure/retry.ts';
export type { SkipOptions } from './failure/skip.ts';
export { skip } from './failure/skip.ts';
export { stop } from './failure/stop.ts';
