import { MalformedBytes } from './malformed-bytes.ts';

/** How the framing of snappy-java begins, which Kafka's own clients write: a name, two versions, then blocks with their lengths. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_BYTES = 16;

/** Unpacks snappy as it is in Kafka's batches: framed as snappy-java has it, or a single block, which other clients write. */
export function unsnappy(bytes: Buffer, block: (bytes: Buffer) => Buffer): Buffer {
  if (bytes.length < XERIAL_BYTES || !bytes.subarray(0, XERIAL.length).equals(XERIAL)) return block(bytes);
  const blocks: Buffer[] = [];
  let at = XERIAL_BYTES;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw new MalformedBytes('a block of snappy without its length');
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < 0 || at + length > bytes.length) throw new MalformedBytes(`a block of snappy of ${length} bytes`);
    blocks.push(block(bytes.subarray(at, at + length)));
    at += length;
  }
  return blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks);
}
