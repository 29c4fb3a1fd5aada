/*
 * What no checksum and no length covers is left alone where nobody could tell that it is wrong: of a batch its base offset, when it is the first or the
 * last one of an answer (compaction leaves gaps); of a partition its number, its error code, its offsets (high watermark, last stable offset, log
 * start), its aborted transactions and its preferred replica; of an answer its throttle time, its error code, its session and its topic ids.
 * A leader epoch is not covered either, but the broker looks at it when it is asked with it (KIP-320).
 */

const NOT_ASKED_FOR = 7;

/** One partition's answer before it is written. */
export interface PartitionAnswer {
  readonly partition: number;
  readonly end: number;
  readonly errorCode?: number;
  readonly diverging?: { readonly epoch: number; readonly endOffset: number };
  batches: Buffer[];
}

/** Numbers that a mangling takes its places from. */
export interface Choice {
  readonly partition: number;
  readonly place: number;
  readonly other: number;
  readonly bit: number;
}

function flip(bytes: Buffer | undefined, at: number, bit: number): void {
  if (bytes !== undefined && at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << bit);
}

/** One out of these. */
function pick<T>(list: readonly T[], number: number): T | undefined {
  return list[number % Math.max(1, list.length)];
}

/** Manglings of an answer before it is written. */
export const contentManglings: Readonly<Record<string, (answer: PartitionAnswer[], choice: Choice) => void>> = {
  'a bit of what a checksum covers'(answer, { partition, place, other, bit }) {
    const batch = pick(pick(answer, partition)?.batches ?? [], other);
    if (batch !== undefined) flip(batch, 21 + (place % (batch.length - 21)), bit);
  },
  'a bit of a length, a format or a checksum'(answer, { partition, place, other, bit }) {
    const at = [8, 9, 10, 11, 16, 17, 18, 19, 20][place % 9] as number;
    flip(pick(pick(answer, partition)?.batches ?? [], other), at, bit);
  },
  'a bit of the base offset of a batch between others'(answer, { partition, place, other, bit }) {
    flip(pick(pick(answer, partition)?.batches.slice(1, -1) ?? [], other), place % 8, bit);
  },
  'a bit of a leader epoch'(answer, { partition, place, other, bit }) {
    flip(pick(pick(answer, partition)?.batches ?? [], other), 12 + (place % 4), bit);
  },
  'two batches change places'(answer, { partition, place, other }) {
    const batches = pick(answer, partition)?.batches ?? [];
    if (batches.length === 0) return;
    const [a, b] = [place % batches.length, other % batches.length];
    [batches[a], batches[b]] = [batches[b] as Buffer, batches[a] as Buffer];
  },
  'all batches turn round'(answer, { partition }) {
    pick(answer, partition)?.batches.reverse();
  },
  'partitions change places'(answer) {
    answer.reverse();
  },
  'a partition twice'(answer, { partition }) {
    answer.push(...answer.slice(partition, partition + 1));
  },
  'a partition that was not asked for'(answer, { partition, bit }) {
    const one = pick(answer, partition);
    if (one !== undefined) answer.splice(partition, bit % 2, { ...one, partition: NOT_ASKED_FOR });
  },
};

/** Where the first ones of these stand in the bytes that go out: of the answer, of its topics, partitions, aborted transactions and records. */
const lengthsAt = [0, 1, 2, 3, 19, 36, 67, 72, 73];
const CORRELATION_ID = { from: 4, to: 8 };

/** Manglings of the bytes that go out. */
export const frameManglings: Readonly<
  Record<string, (frame: Buffer, choice: Choice, earlier: readonly Buffer[]) => (Buffer | 'close')[]>
> = {
  'cut off, and closed': (frame, { place }) => [frame.subarray(0, place % frame.length), 'close'],
  'cut off, and silent': (frame, { place }) => [frame.subarray(0, place % frame.length)],
  'a bit of a length'(frame, { place, bit }) {
    flip(frame, pick(lengthsAt, place) as number, bit);
    return [frame];
  },
  'the body of an earlier one'(frame, { place }, earlier) {
    const body = (pick(earlier, place) ?? frame).subarray(CORRELATION_ID.to);
    const bytes = Buffer.concat([frame.subarray(0, CORRELATION_ID.to), body]);
    bytes.writeInt32BE(bytes.length - CORRELATION_ID.from);
    return [bytes];
  },
  'an earlier one in front': (frame, { place }, earlier) => [pick(earlier, place) ?? frame, frame],
  twice: (frame) => [frame, frame],
  'another correlation id'(frame, { place, bit }) {
    flip(frame, CORRELATION_ID.from + (place % 4), bit);
    return [frame];
  },
};
