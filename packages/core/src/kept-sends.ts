import type { KeptSend, PartitionProgress } from './delivery.ts';
import { IllegalStateError } from './errors.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Lane } from './lane.ts';
import type { PassOutgoing } from './outgoing-plugins.ts';
import { ownedMessage, sizeOf } from './owned-message.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { OutgoingRecord } from './record.ts';
import { assertOwned } from './sender.ts';

/** What one commit may have to write, in messages; at least one record's. The rest follows in the next. */
const MAX_MESSAGES_PER_COMMIT = 10_000;

/** What a finished record has sent, until it is committed with it. */
export interface KeptRecord {
  readonly item: CallItem;
  readonly lane: Lane<HandlerCall>;
  attempt: number;
  firstFailedAt: number | undefined;
  sends: readonly KeptSend[];
  readonly bytes: number;
  /** What is kept is its dead letter. */
  isDeadLetter: boolean;
  /** Nothing at or above it is committed for now. */
  isHeld: boolean;
}

/** What one partition keeps, by the offsets of its records. */
class PartitionSends {
  readonly records = new Map<number, KeptRecord>();
  bytes = 0;

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
}

/**
 * What handlers send, under a delivery that writes it together with the progress. While a call runs its messages are with the call, so that an attempt
 * that fails takes them with it; when its record is finished they are with the partition, until a commit that covers the record has written them.
 */
export class KeptSends {
  readonly #check: (message: OutgoingRecord) => void;
  readonly #pass: PassOutgoing;
  readonly #maxBytes: number;
  readonly #partitions = new Map<OwnedPartition, PartitionSends>();
  /** Dead letters of records that are about to be finished. */
  readonly #deadLetters = new WeakMap<CallItem, OutgoingRecord>();

  constructor(check: (message: OutgoingRecord) => void, pass: PassOutgoing, maxBytes: number) {
    this.#check = check;
    this.#pass = pass;
    this.#maxBytes = maxBytes;
  }

  /** A handler sends. @throws InvalidOptionError, IllegalStateError */
  send(call: HandlerCall, item: CallItem, message: OutgoingRecord): void {
    assertOwned(call, item);
    const { items } = call;
    const from = item === call && items !== undefined ? items[0] : item;
    if (from === undefined || (item === call && items !== undefined && items.length > 1))
      throw new IllegalStateError(
        'which record of the batch is the message for? Each is committed with its own messages: context.send(message, record)',
      );
    const outgoing = this.#accept(message, from);
    call.sends ??= new Map();
    const sends = call.sends.get(from) ?? [];
    if (sends.length === 0) call.sends.set(from, sends);
    sends.push(outgoing);
  }

  /** A dead letter is written when its record is committed. @throws InvalidOptionError */
  write(message: OutgoingRecord, item: CallItem): void {
    this.#deadLetters.set(item, this.#accept(message, item));
  }

  /** A record is finished, and what it has sent belongs to its partition from now on. */
  settled(call: HandlerCall, item: CallItem, outcome: 'handled' | 'skipped' | 'dead-lettered'): void {
    const deadLetter = outcome === 'dead-lettered' ? this.#deadLetters.get(item) : undefined;
    const messages = outcome === 'handled' ? call.sends?.get(item) : deadLetter && [deadLetter];
    if (messages === undefined || item.owner.phase === 'ended') return;
    const { offset } = item.received;
    const kept = this.#partitions.get(item.owner) ?? new PartitionSends();
    this.#partitions.set(item.owner, kept);
    const sends: KeptSend[] = [];
    let bytes = 0;
    for (const message of messages) {
      sends.push({ offset, message });
      bytes += sizeOf(message);
    }
    // Property by property: spreading objects into it costs several times as much, and this is done for every record.
    kept.set(offset, {
      item,
      lane: call.lane,
      attempt: call.attempt,
      firstFailedAt: call.firstFailedAt,
      sends,
      bytes,
      isDeadLetter: deadLetter !== undefined,
      isHeld: false,
    });
  }

  /** Whether so much is kept that no more is to be polled. Asked after every turn. */
  get isFull(): boolean {
    let bytes = 0;
    for (const [owner, kept] of this.#partitions) {
      if (owner.phase === 'ended') this.#partitions.delete(owner);
      else bytes += kept.bytes;
    }
    return bytes >= this.#maxBytes;
  }

  /** What there is to commit of these, with what is to be written with it. */
  progressOf(partitions: readonly OwnedPartition[]): PartitionProgress[] {
    let left = MAX_MESSAGES_PER_COMMIT;
    return partitions.flatMap((owner) => {
      const next = owner.phase === 'ended' || left <= 0 ? undefined : owner.progress();
      if (next === undefined) return [];
      const below = [...(this.#partitions.get(owner)?.records ?? [])].filter(([offset]) => offset < next.offset);
      below.sort(([a], [b]) => a - b);
      const sends: KeptSend[] = [];
      let { offset } = next;
      for (const [at, record] of below) {
        if (record.isHeld || left <= 0) {
          offset = at;
          break;
        }
        sends.push(...record.sends);
        left -= record.sends.length;
      }
      const isNothing = owner.committedOffset !== undefined && offset <= owner.committedOffset;
      return isNothing ? [] : [{ ...next, offset, sends }];
    });
  }

  /** Everything below is written and committed. */
  landed(owner: OwnedPartition, nextOffset: number): void {
    const kept = this.#partitions.get(owner);
    kept?.dropBelow(nextOffset);
    if (kept?.records.size === 0) this.#partitions.delete(owner);
  }

  /** The record that a message is kept for, as long as its partition is ours. */
  recordOf(topic: string, partition: number, send: KeptSend): KeptRecord | undefined {
    for (const [owner, { records }] of this.#partitions) {
      if (owner.topic !== topic || owner.partition !== partition || owner.phase === 'ended') continue;
      const record = records.get(send.offset);
      if (record?.sends.includes(send) === true) return record;
    }
    return undefined;
  }

  /** What a record has sent cannot be written: from now on this is kept in its place. */
  replace(record: KeptRecord, message: OutgoingRecord | undefined): void {
    const { item } = record;
    const { offset } = item.received;
    record.isDeadLetter = message !== undefined;
    record.sends = message === undefined ? [] : [{ offset, message: this.#accept(message, item) }];
  }

  #accept(message: OutgoingRecord, item: CallItem): OutgoingRecord {
    const outgoing = ownedMessage(this.#pass(message, item.record));
    this.#check(outgoing);
    return outgoing;
  }
}
