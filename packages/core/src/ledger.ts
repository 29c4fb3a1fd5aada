import { IllegalStateError } from './errors.ts';

const CHUNK_OFFSETS = 4_096;
const WORDS = CHUNK_OFFSETS / 32;

/** What is known of 4,096 consecutive offsets: a bit for each that was received, and for each that is not finished. */
class Chunk {
  readonly firstOffset: number;
  readonly received = new Int32Array(WORDS);
  readonly open = new Int32Array(WORDS);
  openCount = 0;

  constructor(firstOffset: number) {
    this.firstOffset = firstOffset;
  }
}

/**
 * What one partition has received and finished, in one epoch.
 *
 * The *frontier*, `nextOffset`, is the first received offset that is not finished: everything before it is, so it is what may be committed.
 * With nothing open it is the read position. Offsets that were never received (compaction, control records, aborted transactions) do not
 * exist here, and hold nothing up. Every operation is O(1), amortised over the offsets.
 */
export class Ledger {
  /** Chunks from the frontier's on, in offset order; those before it are forgotten. */
  readonly #chunks = new Map<number, Chunk>();
  #first: Chunk | undefined;
  #last: Chunk | undefined;
  #position: number;
  #frontier: number;
  #openCount = 0;
  #aheadCount = 0;

  /** @param startOffset where reading starts */
  constructor(startOffset: number) {
    this.#position = startOffset;
    this.#frontier = startOffset;
  }

  /** The offset to commit: everything received before it is finished. */
  get nextOffset(): number {
    return this.#frontier;
  }

  /** The offset behind everything received, or the read position if that is further on. */
  get position(): number {
    return this.#position;
  }

  /** Records received and not finished. */
  get openCount(): number {
    return this.#openCount;
  }

  /** Records received at or above the frontier, finished or not: what a crash would repeat. */
  get aheadCount(): number {
    return this.#aheadCount;
  }

  /**
   * Notes a record. Offsets come in ascending order.
   * @throws IllegalStateError for an offset below the position: it was received before
   */
  receive(offset: number): void {
    if (offset < this.#position)
      throw new IllegalStateError(`offset ${offset} was received already: the position is ${this.#position}`);
    const index = Math.floor(offset / CHUNK_OFFSETS);
    let chunk = this.#last;
    if (chunk === undefined || chunk.firstOffset !== index * CHUNK_OFFSETS) {
      chunk = new Chunk(index * CHUNK_OFFSETS);
      this.#chunks.set(index, chunk);
      this.#first ??= chunk;
      this.#last = chunk;
    }
    const bit = offset - chunk.firstOffset;
    const mask = 1 << (bit & 31);
    chunk.received[bit >> 5]! |= mask;
    chunk.open[bit >> 5]! |= mask;
    chunk.openCount++;
    if (this.#openCount === 0) {
      this.#aheadCount = 0;
      this.#frontier = offset;
    }
    this.#openCount++;
    this.#aheadCount++;
    this.#position = offset + 1;
  }

  /** Everything below `offset` has been received; what lies between is no record. A lower position than known changes nothing. */
  advancePosition(offset: number): void {
    if (offset <= this.#position) return;
    this.#position = offset;
    if (this.#openCount === 0) this.#frontier = offset;
  }

  /** Whether a record was received and is not finished. */
  isOpen(offset: number): boolean {
    const chunk = this.#chunks.get(Math.floor(offset / CHUNK_OFFSETS));
    if (chunk === undefined) return false;
    const bit = offset - chunk.firstOffset;
    return (chunk.open[bit >> 5]! & (1 << (bit & 31))) !== 0;
  }

  /** Records received and not finished, in order. */
  *openOffsets(): Generator<number> {
    for (const { firstOffset, open } of this.#chunks.values())
      for (const [word, bits] of open.entries())
        for (let left = bits; left !== 0; left &= left - 1) yield firstOffset + word * 32 + lowestBit(left);
  }

  /** The offset to commit if these were finished too. */
  nextOffsetAfter(finished: ReadonlySet<number>): number {
    for (const offset of this.openOffsets()) if (!finished.has(offset)) return offset;
    return this.#position;
  }

  /** The offset behind the last record that is finished. */
  get finishedEnd(): number {
    for (const { firstOffset, received, open } of [...this.#chunks.values()].reverse()) {
      for (let word = WORDS - 1; word >= 0; word--) {
        const finished = received[word]! & ~open[word]!;
        if (finished !== 0) return Math.max(this.#frontier, firstOffset + word * 32 + 32 - Math.clz32(finished));
      }
    }
    return this.#frontier;
  }

  /**
   * Notes that a record is finished, and moves the frontier if it was the one that held it.
   * @throws IllegalStateError for an offset that is not open: settled twice, or never received
   */
  settle(offset: number): void {
    let chunk = this.#first;
    if (chunk === undefined || offset < chunk.firstOffset || offset >= chunk.firstOffset + CHUNK_OFFSETS) {
      chunk = this.#chunks.get(Math.floor(offset / CHUNK_OFFSETS));
    }
    const bit = chunk === undefined ? 0 : offset - chunk.firstOffset;
    const mask = 1 << (bit & 31);
    if (chunk === undefined || (chunk.open[bit >> 5]! & mask) === 0) {
      throw new IllegalStateError(`offset ${offset} is not open: it was settled before, or never received`);
    }
    chunk.open[bit >> 5]! &= ~mask;
    chunk.openCount--;
    this.#openCount--;
    if (offset === this.#frontier) this.#advanceFrontier(chunk, bit);
  }

  /** From a chunk that the frontier is in, where the bit at `from` was just closed, to the next open offset. */
  #advanceFrontier(chunk: Chunk, from: number): void {
    if (this.#openCount === 0) {
      this.#aheadCount = 0;
      this.#chunks.clear();
      // The chunk that reading is in is kept: it will most likely take the next record.
      this.#first = this.#last;
      if (this.#last !== undefined) {
        this.#last.received.fill(0);
        this.#chunks.set(this.#last.firstOffset / CHUNK_OFFSETS, this.#last);
      }
      this.#frontier = this.#position;
      return;
    }
    let current = chunk;
    let bit = from;
    while (current.openCount === 0) {
      this.#aheadCount -= receivedBetween(current, bit, CHUNK_OFFSETS);
      this.#chunks.delete(current.firstOffset / CHUNK_OFFSETS);
      current = this.#nextChunk();
      bit = 0;
    }
    const open = firstOpenFrom(current, bit);
    this.#aheadCount -= receivedBetween(current, bit, open);
    this.#frontier = current.firstOffset + open;
  }

  /** A map keeps insertion order, which is offset order, so the first key left is the next chunk. */
  #nextChunk(): Chunk {
    const next = this.#chunks.values().next().value;
    if (next === undefined) throw new IllegalStateError('open records without a chunk');
    this.#first = next;
    return next;
  }
}

/** The first open bit at or behind `from`; there is one. */
function firstOpenFrom(chunk: Chunk, from: number): number {
  let word = from >> 5;
  let bits = chunk.open[word]! & (-1 << (from & 31));
  while (bits === 0) {
    word++;
    bits = chunk.open[word]!;
  }
  return word * 32 + lowestBit(bits);
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** How many offsets from `from` up to, but not including, `to` were received. */
function receivedBetween(chunk: Chunk, from: number, to: number): number {
  if (from === to) return 0;
  let word = from >> 5;
  const lastWord = (to - 1) >> 5;
  let bits = chunk.received[word]! & (-1 << (from & 31));
  let count = 0;
  for (; word < lastWord; word++, bits = chunk.received[word]!) count += bitCount(bits);
  return count + bitCount(bits & (-1 >>> (31 - ((to - 1) & 31))));
}

function bitCount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return (((n + (n >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
