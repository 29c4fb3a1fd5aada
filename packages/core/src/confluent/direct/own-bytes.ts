import type { SharedMemory } from '../../record.ts';

/** Bytes that lie in more than this times as much memory are copied. */
const MOST_SLACK = 2;

/** A copy that nothing else lies beside: small buffers that Node takes from its pool keep all of that. */
export function ownBytes(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}

/** The same bytes, copied if they would keep much more than themselves. */
export function compactBytes(bytes: Buffer): Buffer {
  return bytes.buffer.byteLength > MOST_SLACK * bytes.length ? ownBytes(bytes) : bytes;
}

/** What records over these bytes keep. */
export function sharedMemory(bytes: Buffer): SharedMemory {
  return { bytes: bytes.buffer.byteLength, inFlight: 0 };
}
