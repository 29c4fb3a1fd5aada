import { RECORD_OVERHEAD_BYTES, type ReceivedRecord } from './record.ts';

/**
 * What the records of one partition that are in flight keep in memory, in bytes. Memory that several of them share counts as a whole, from the first of
 * them that is taken in until the last one is finished: a single record keeps all of it. Pure. The only place where a record's bytes are added and taken off.
 */
export class PinnedMemory {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** A record is in flight from now on. How many bytes more that makes. */
  add(record: ReceivedRecord): number {
    const { shared } = record;
    let added = RECORD_OVERHEAD_BYTES;
    if (shared === undefined) added = record.sizeBytes;
    else if (shared.inFlight++ === 0) added += shared.bytes;
    this.#bytes += added;
    return added;
  }

  /** A record is in flight no more. How many bytes less that makes. */
  remove(record: ReceivedRecord): number {
    const { shared } = record;
    let removed = RECORD_OVERHEAD_BYTES;
    if (shared === undefined) removed = record.sizeBytes;
    else if (--shared.inFlight === 0) removed += shared.bytes;
    this.#bytes -= removed;
    return removed;
  }

  /** A record that is in flight lets go of what it shares, and counts with its own bytes from then on. How many bytes less, or if negative more, that makes. */
  detach(record: ReceivedRecord): number {
    const removed = this.remove(record);
    record.detach?.();
    return removed - this.add(record);
  }
}
