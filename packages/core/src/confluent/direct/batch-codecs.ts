/** What reading batches needs that this code does not do itself. */
export interface BatchCodecs {
  /** The checksum of Castagnoli, as an unsigned number. */
  crc32c(bytes: Buffer): number;
  /** By Kafka's number of the codec. Each throws for bytes that are not of it. */
  readonly decompress: Readonly<Record<number, (bytes: Buffer) => Buffer>>;
}

export const GZIP = 1;
export const SNAPPY = 2;
export const LZ4 = 3;
export const ZSTD = 4;
