const FIRST_BYTES = 256;
const TWO_TO_32 = 2 ** 32;

/** Writes the types of Kafka's protocol, in order. @see https://kafka.apache.org/protocol#protocol_types */
export class ByteWriter {
  #bytes: Buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  /** What was written. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  int8(value: number): this {
    const at = this.#advance(1);
    this.#bytes.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#advance(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#advance(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  int64(value: number): this {
    const at = this.#advance(8);
    this.#bytes.writeInt32BE(Math.floor(value / TWO_TO_32), at);
    this.#bytes.writeUInt32BE(value >>> 0, at + 4);
    return this;
  }

  /** From 32 hexadecimal digits. */
  uuid(hex: string): this {
    const at = this.#advance(16);
    this.#bytes.write(hex, at, 'hex');
    return this;
  }

  unsignedVarint(value: number): this {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#byte((rest & 0x7f) | 0x80);
    return this.#byte(rest);
  }

  /** A compact string. */
  string(text: string): this {
    const length = Buffer.byteLength(text);
    this.unsignedVarint(length + 1);
    const at = this.#advance(length);
    this.#bytes.write(text, at);
    return this;
  }

  /** A compact array. */
  array<T>(elements: readonly T[], write: (element: T) => void): this {
    this.unsignedVarint(elements.length + 1);
    for (const element of elements) write(element);
    return this;
  }

  /** The end of a structure. */
  noTaggedFields(): this {
    return this.unsignedVarint(0);
  }

  #byte(value: number): this {
    const at = this.#advance(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }

  /** Makes room. Before `#bytes` is looked at: it may become another one. */
  #advance(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}
