// In what order, and how many at once?
export { type LaneByOptions, laneBy } from './concurrency/lane-by.ts';
export { type LimitedOptions, limited } from './concurrency/limited.ts';
export { type ParallelOptions, parallel } from './concurrency/parallel.ts';
export { type PerKeyOptions, perKey } from './concurrency/per-key.ts';
export { type PerPartitionOptions, perPartition } from './concurrency/per-partition.ts';
export { serial } from './concurrency/serial.ts';
export type { TurnOptions } from './concurrency/turn.ts';
// What is promised?
export { atLeastOnce } from './delivery/at-least-once.ts';
export { type AtMostOnceOptions, atMostOnce } from './delivery/at-most-once.ts';
export type { Database } from './delivery/database/database.ts';
export { exactlyOnceMigration } from './delivery/database/exactly-once-migration.ts';
export { type PGliteDatabase, type PGliteTransaction, pglite } from './delivery/database/pglite.ts';
export { type PostgresClient, type PostgresPool, postgres } from './delivery/database/postgres.ts';
export { type ExactlyOnceOptions, exactlyOnce } from './delivery/exactly-once.ts';
export { type ExactlyOnceInDatabaseOptions, exactlyOnceInDatabase } from './delivery/exactly-once-in-database.ts';
// What happens when the handler fails?
export { type DeadLetterOptions, deadLetter } from './failure/dead-letter.ts';
export { freezeKey } from './failure/freeze-key.ts';
export { freezePartition } from './failure/freeze-partition.ts';
export { retry } from './failure/retry.ts';
export type { SkipOptions } from './failure/skip.ts';
export { skip } from './failure/skip.ts';
export { stop } from './failure/stop.ts';
