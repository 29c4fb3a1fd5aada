/** One conversion of messages to objects holds the event loop: about 6 us per record and a copy of its bytes. */
const MAX_RECORDS = 400;
const MAX_BYTES = 4 * 1024 * 1024;
const FIRST_RECORDS = 50;

/** How many records one turn of librdkafka's queue may bring, so that it never takes the event loop for long. Pure. */
export class ChunkSize {
  #records = FIRST_RECORDS;

  get records(): number {
    return this.#records;
  }

  /** After a chunk whose largest record was that large. It grows step by step, lest the first large records after small ones come by the hundred. */
  adapt(largestBytes: number): void {
    const fitting = Math.floor(MAX_BYTES / Math.max(1, largestBytes));
    this.#records = Math.max(1, Math.min(MAX_RECORDS, fitting, this.#records * 2));
  }
}
