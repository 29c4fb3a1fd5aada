import { MalformedBytes } from './malformed-bytes.ts';

/** A place in bytes, moved by those who read there. */
export interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

const VARINT_BITS = 35;
const VARLONG_BYTES = 10;

/** A signed number of up to 32 bits, as records have them. Beyond the end of the bytes it reads zeros: whoever calls it looks where it ended. */
export function readVarint(cursor: Cursor): number {
  const { bytes } = cursor;
  let byte = bytes[cursor.at++] as number;
  let value = byte & 0x7f;
  for (let shift = 7; byte >= 0x80; shift += 7) {
    if (shift >= VARINT_BITS) throw new MalformedBytes('a number goes on for too long');
    byte = bytes[cursor.at++] as number;
    value |= (byte & 0x7f) << shift;
  }
  return (value >>> 1) ^ -(value & 1);
}

/** A signed number of up to 64 bits, as near as a number comes to one of 2^53 and more: times may be that large. */
export function readVarlong(cursor: Cursor): number {
  const { bytes } = cursor;
  let byte = bytes[cursor.at++] as number;
  const isNegative = (byte & 1) === 1;
  // Without the sign, which is the last bit.
  let value = (byte & 0x7f) >>> 1;
  let unit = 0x40;
  for (let read = 1; byte >= 0x80; read++) {
    if (read >= VARLONG_BYTES) throw new MalformedBytes('a number goes on for too long');
    byte = bytes[cursor.at++] as number;
    value += (byte & 0x7f) * unit;
    unit *= 0x80;
  }
  return isNegative ? -value - 1 : value;
}
