const LENGTH_BYTES = 4;
/** A response has a correlation id at least. */
const LEAST_BYTES = 4;

/** Follows the lengths in front of responses, to notice one that cannot be: the library would wait for it for ever, or fall over it. */
export class FrameGuard {
  readonly #maxBytes: number;
  /** What is left of the response under way. */
  #left = 0;
  #length = 0;
  #lengthBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Undefined when all is well; else what is wrong. Nothing may be accepted behind that. */
  flawOf(chunk: Buffer): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, chunk.length - at);
        this.#left -= passed;
        at += passed;
        continue;
      }
      this.#length = (this.#length << 8) | (chunk[at++] as number) | 0;
      if (++this.#lengthBytes < LENGTH_BYTES) continue;
      if (this.#length < LEAST_BYTES || this.#length > this.#maxBytes) return `a response of ${this.#length} bytes`;
      this.#left = this.#length;
      this.#length = 0;
      this.#lengthBytes = 0;
    }
    return undefined;
  }
}
