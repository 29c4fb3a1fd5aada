/** Once full, it takes more when it has come down to this part of its limits. */
const REOPEN_AT = 0.7;
/** One more record is never taken to pin more shared memory than this part of the limit, so that some can come as soon as it opens again. */
const MOST_SHARED = 0.25;
/** More at once would hold the event loop for too long. */
const MAX_RECORDS_PER_POLL = 500;
/** Kafka's default for the largest message, as long as no record was seen. */
const INITIAL_RECORD_BYTES = 1024 * 1024;

/** Records and bytes polled and not finished, against their two limits, with hysteresis. Pure. */
export class InFlight {
  readonly #maxRecords: number;
  readonly #maxBytes: number;
  readonly #worthwhile: number;
  #records = 0;
  #bytes = 0;
  /** What is in flight and does not count against the limits. */
  #forgivenRecords = 0;
  #forgivenBytes = 0;
  #isFull = false;
  /** The largest record of the polls of late, or what their records have pinned on average if that is more: how much one more may bring. */
  #recordBytes = INITIAL_RECORD_BYTES;
  #hasSeenRecords = false;

  constructor(limits: { readonly inFlightRecords: number; readonly inFlightBytes: number }) {
    this.#maxRecords = limits.inFlightRecords;
    this.#maxBytes = limits.inFlightBytes;
    // Exactly what is free when it opens again: with one more it would be full and open in turn, without end.
    const freeAtReopening = limits.inFlightRecords - Math.floor(limits.inFlightRecords * REOPEN_AT);
    this.#worthwhile = Math.min(MAX_RECORDS_PER_POLL, freeAtReopening);
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    this.#records++;
    this.#bytes += bytes;
  }

  remove(records: number, bytes: number): void {
    this.#records -= records;
    this.#bytes -= bytes;
  }

  /** Takes so much more, or less, out of account. */
  forgive(records: number, bytes: number): void {
    this.#forgivenRecords += records;
    this.#forgivenBytes += bytes;
  }

  /** Notes a poll's largest record, and what each has pinned on average, so that the estimate also comes down again. */
  polled(largestRecordBytes: number, pinnedPerRecord = 0): void {
    // A poll of which nothing was taken says nothing.
    if (largestRecordBytes === 0) return;
    const shared = Math.min(pinnedPerRecord, this.#maxBytes * MOST_SHARED);
    this.#recordBytes = Math.max(largestRecordBytes, shared, 1, this.#hasSeenRecords ? this.#recordBytes / 2 : 0);
    this.#hasSeenRecords = true;
  }

  /**
   * How many records may be polled now; 0 when full. It counts as full when less than a worthwhile poll fits, or it would be asked for a few records
   * again and again. One is always allowed when nothing is in flight, however large it may be.
   */
  room(): number {
    const records = this.#records - this.#forgivenRecords;
    const bytes = this.#bytes - this.#forgivenBytes;
    if (records === 0) this.#isFull = false;
    const byRecords = this.#maxRecords - records;
    const byBytes = Math.floor((this.#maxBytes - bytes) / this.#recordBytes);
    if (!this.#isFull) {
      this.#isFull = records > 0 && (byRecords < this.#worthwhile || byBytes < 1);
    } else if (byBytes >= 1 && records <= this.#maxRecords * REOPEN_AT && bytes <= this.#maxBytes * REOPEN_AT) {
      this.#isFull = false;
    }
    if (this.#isFull) return 0;
    return Math.max(1, Math.min(MAX_RECORDS_PER_POLL, byRecords, byBytes));
  }
}
