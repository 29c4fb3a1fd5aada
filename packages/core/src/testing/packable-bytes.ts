/** Codecs look for what they have seen no further back than this, all of them. */
const LOOK_BACK_BYTES = 30_000;
const STRETCH_BYTES = 64;

/**
 * Bytes that look like noise and are the same for the same seed, a whole number that is not 0. Half of their stretches stood somewhere before, so that codecs pack
 * them by both of their means: as they are, and by where they have been.
 */
export function packableBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  const random = xorshift(seed);
  for (let at = 0; at < length; at += STRETCH_BYTES) {
    const end = Math.min(at + STRETCH_BYTES, length);
    if (at === 0 || random() % 2 === 0) {
      for (let i = at; i < end; i++) bytes[i] = random();
    } else {
      const from = at - 1 - (random() % Math.min(at, LOOK_BACK_BYTES));
      bytes.copyWithin(at, from, from + end - at);
    }
  }
  return bytes;
}

/** Marsaglia's, of 32 bits. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
