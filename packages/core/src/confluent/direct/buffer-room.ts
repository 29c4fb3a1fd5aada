import type { DirectPartition } from './direct-partition.ts';

/** Of all open partitions together no more than this, and what is on its way, waits to be taken. */
const BUFFER_BYTES = 16 * 1024 * 1024;

/** Nothing is asked for, not even where nothing waits. */
const NOTHING = -1;

/** How many bytes may wait of a single partition for it to be asked for. Pure. */
export function roomOf(partitions: readonly DirectPartition[], partitionBytes: number): number {
  let bytes = 0;
  let openBytes = 0;
  for (const owned of partitions) {
    bytes += owned.bytes;
    if (owned.isOpen) openBytes += owned.bytes;
  }
  if (bytes < BUFFER_BYTES) return partitionBytes;
  // Where it is paused ones that fill it, those of which nothing waits are asked for all the same: they would stand still otherwise.
  return openBytes < BUFFER_BYTES ? 0 : NOTHING;
}
