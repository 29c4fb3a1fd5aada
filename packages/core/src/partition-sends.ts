import type { KeptSend } from './delivery.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Lane } from './lane.ts';

/** What a finished record has sent, until it is committed with it. */
export interface KeptRecord {
  readonly item: CallItem;
  readonly lane: Lane<HandlerCall>;
  attempt: number;
  firstFailedAt: number | undefined;
  sends: readonly KeptSend[];
  /** Of its messages. */
  readonly sendsBytes: number;
  /** With the record itself, which is kept for the policy to look at. */
  readonly bytes: number;
  /** What is kept is its dead letter. */
  isDeadLetter: boolean;
  /** Nothing at or above it is committed for now. */
  isHeld: boolean;
}

/** What one partition keeps, by the offsets of its records. */
export class PartitionSends {
  readonly records: Map<number, KeptRecord> = new Map<number, KeptRecord>();
  bytes = 0;
  /** How much it keeps before it is looked at how much of it lies above the frontier. */
  lookAt: number;
  /** Its intake is stopped. */
  isOverShare = false;
  /** When it had its turn: a count. */
  servedAt = 0;

  constructor(lookAt: number) {
    this.lookAt = lookAt;
  }

  set(offset: number, record: KeptRecord): void {
    this.records.set(offset, record);
    this.bytes += record.bytes;
  }

  dropBelow(nextOffset: number): void {
    for (const [offset, { bytes }] of this.records) {
      if (offset >= nextOffset) continue;
      this.records.delete(offset);
      this.bytes -= bytes;
    }
  }

  bytesFrom(offset: number): number {
    let sum = 0;
    for (const [at, { bytes }] of this.records) if (at >= offset) sum += bytes;
    return sum;
  }
}
