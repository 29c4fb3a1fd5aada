import { MalformedBytes } from './malformed-bytes.ts';

const TWO_TO_32 = 2 ** 32;

/** Bytes of a varint of 32 bits, at most. */
const VARINT_BYTES = 5;

/**
 * Reads the types of Kafka's protocol out of bytes, in order. Never beyond their end, and never more elements than there are bytes for.
 * Every method throws {@link MalformedBytes}.
 * @see https://kafka.apache.org/protocol#protocol_types
 */
export class ByteReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#advance(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4));
  }

  /** An offset, a time, an id: those of 2^53 and more are refused. */
  int64(): number {
    return safeInt64(this.#bytes, this.#advance(8));
  }

  /** As 32 hexadecimal digits. */
  uuid(): string {
    const at = this.#advance(16);
    return this.#bytes.toString('hex', at, at + 16);
  }

  unsignedVarint(): number {
    let value = 0;
    let unit = 1;
    for (let i = 0; i < VARINT_BYTES; i++) {
      const byte = this.#bytes[this.#advance(1)] as number;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) {
        if (value >= TWO_TO_32) break;
        return value;
      }
      unit *= 0x80;
    }
    throw new MalformedBytes('a number goes on for too long');
  }

  /** A compact string; null stays null. */
  nullableString(): string | null {
    const bytes = this.nullableBytes();
    return bytes === null ? null : bytes.toString('utf8');
  }

  string(): string {
    const text = this.nullableString();
    if (text === null) throw new MalformedBytes('a text is null');
    return text;
  }

  /** Compact bytes, as a view. */
  nullableBytes(): Buffer | null {
    const length = this.unsignedVarint() - 1;
    if (length < 0) return null;
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A compact array; null counts as empty. */
  array<T>(read: (reader: this) => T): T[] {
    const length = this.unsignedVarint() - 1;
    // Each element has a byte at least.
    if (length > this.remaining) throw new MalformedBytes(`a list of ${length} in ${this.remaining} bytes`);
    const elements: T[] = [];
    for (let i = 0; i < length; i++) elements.push(read(this));
    return elements;
  }

  /** The tagged fields at the end of a structure; those that `known` has no reader for are passed over. */
  taggedFields(known: Readonly<Record<number, (field: ByteReader) => void>> = {}): void {
    const count = this.unsignedVarint();
    for (let i = 0; i < count; i++) {
      const tag = this.unsignedVarint();
      const length = this.unsignedVarint();
      const at = this.#advance(length);
      known[tag]?.(new ByteReader(this.#bytes.subarray(at, at + length)));
    }
  }

  /** Nothing may be left. */
  end(): void {
    if (this.remaining > 0) throw new MalformedBytes(`${this.remaining} bytes too many`);
  }

  #advance(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) {
      throw new MalformedBytes(`it ends ${length - (this.#bytes.length - at)} bytes too early`);
    }
    this.#at = at + length;
    return at;
  }
}

/** The 64-bit number at a place, as near as a number comes to it: producers may write times in nanoseconds. */
export function looseInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * TWO_TO_32 + bytes.readUInt32BE(at + 4);
}

/** The 64-bit number at a place. @throws MalformedBytes for one of 2^53 and more */
export function safeInt64(bytes: Buffer, at: number): number {
  const value = looseInt64(bytes, at);
  if (!Number.isSafeInteger(value)) throw new MalformedBytes('a number of more than 53 bits');
  return value;
}
