import { CommitSize } from './commit-size.ts';
import type { KeptSend, PartitionProgress } from './delivery.ts';
import { IllegalStateError } from './errors.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { PassOutgoing } from './outgoing-plugins.ts';
import { ownedMessage, sizeOf } from './owned-message.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { type KeptRecord, PartitionSends } from './partition-sends.ts';
import type { OutgoingRecord } from './record.ts';
import { assertOwned } from './sender.ts';

/** A partition that was over its share is polled again when it keeps so much of it. */
const RELEASE_AT = 0.5;
/** How much more a partition has to keep, in shares, before it is looked at again how much of it lies above its frontier. */
const LOOK_EVERY = 0.25;

/** What kept messages depend on. */
export interface KeptSendsParts {
  /** @throws InvalidOptionError for a message that can never be written */
  readonly check: (message: OutgoingRecord) => void;
  readonly pass: PassOutgoing;
  /** How much may be kept before no more is polled. */
  readonly maxBytes: number;
}

/** Stops and starts the intake of a partition that keeps too much above its frontier. */
export interface KeptSendsIntake {
  /** Among how many partitions there is to share. */
  readonly partitions: () => number;
  readonly hold: (owner: OwnedPartition) => void;
  readonly release: (owner: OwnedPartition) => void;
  /** A record is kept, and no handler has it. */
  readonly detach: (item: CallItem) => void;
}

/**
 * What handlers send, under a delivery that writes it together with the progress. While a call runs its messages are with the call, so that an attempt
 * that fails takes them with it; when its record is finished they are with the partition, until a commit that covers the record has written them.
 */
export class KeptSends {
  readonly #parts: KeptSendsParts;
  #intake: KeptSendsIntake | undefined;
  readonly #partitions = new Map<OwnedPartition, PartitionSends>();
  /** Dead letters of records that are about to be finished. */
  readonly #deadLetters = new WeakMap<CallItem, OutgoingRecord>();
  readonly #size = new CommitSize();
  #turns = 0;
  #isCut = false;

  constructor(parts: KeptSendsParts) {
    this.#parts = parts;
  }

  /** Once, before anything is sent. */
  boundBy(intake: KeptSendsIntake): void {
    this.#intake = intake;
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
    call.keepSend(from, this.#accept(message, from));
  }

  /** A dead letter is written when its record is committed. @throws InvalidOptionError */
  write(message: OutgoingRecord, item: CallItem): void {
    this.#deadLetters.set(item, this.#accept(message, item));
  }

  /** A record is finished, and what it has sent belongs to its partition from now on. */
  settled(call: HandlerCall, item: CallItem, outcome: 'handled' | 'skipped' | 'dead-lettered'): void {
    const deadLetter = outcome === 'dead-lettered' ? this.#deadLetters.get(item) : undefined;
    const messages = outcome === 'handled' ? call.sendsOf(item) : deadLetter && [deadLetter];
    if (messages === undefined || item.owner.phase === 'ended') return;
    const { offset } = item.received;
    const kept = this.#partitions.get(item.owner) ?? new PartitionSends(this.#share);
    this.#partitions.set(item.owner, kept);
    const sends: KeptSend[] = [];
    let sendsBytes = 0;
    for (const message of messages) {
      sends.push({ offset, message });
      sendsBytes += sizeOf(message);
    }
    // Property by property: spreading objects into it costs several times as much, and this is done for every record.
    kept.set(offset, {
      item,
      lane: call.lane,
      attempt: call.attempt,
      firstFailedAt: call.firstFailedAt,
      sends,
      sendsBytes,
      bytes: sendsBytes + item.received.sizeBytes,
      isDeadLetter: deadLetter !== undefined,
      isHeld: false,
    });
    this.#intake?.detach(item);
  }

  /**
   * A record of it was finished, and the frontier has moved if it could. What a partition keeps above its frontier cannot be committed for now: with more
   * than its share of that it takes no more records, so that the others can go on.
   */
  noteFinished(owner: OwnedPartition): void {
    const kept = this.#partitions.get(owner);
    if (kept === undefined || kept.bytes < kept.lookAt || kept.isOverShare || owner.phase !== 'active') return;
    kept.lookAt = kept.bytes + this.#share * LOOK_EVERY;
    if (kept.bytesFrom(owner.ledger.nextOffset) <= this.#share) return;
    kept.isOverShare = true;
    this.#intake?.hold(owner);
  }

  /** Whether so much is kept that no more is to be polled. Asked after every turn. */
  get isFull(): boolean {
    return this.waitingBytes >= this.#parts.maxBytes;
  }

  /** What waits to be committed, without what partitions over their share keep: they take no more by themselves. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const [owner, kept] of this.#partitions) {
      if (owner.phase === 'ended') this.#partitions.delete(owner);
      else if (!kept.isOverShare) bytes += kept.bytes;
    }
    return bytes;
  }

  bytesOf(owner: OwnedPartition): number {
    return this.#partitions.get(owner)?.bytes ?? 0;
  }

  /** Whether what there was to commit last was too much for one commit. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** What there is to commit of these, with what is to be written with it: first of those whose turn was longest ago. */
  progressOf(partitions: readonly OwnedPartition[]): PartitionProgress[] {
    const left = { messages: this.#size.messages, bytes: this.#size.bytes };
    this.#isCut = false;
    const turnOf = (owner: OwnedPartition): number => this.#partitions.get(owner)?.servedAt ?? 0;
    return [...partitions].sort((a, b) => turnOf(a) - turnOf(b)).flatMap((owner) => this.#progressOf(owner, left));
  }

  #progressOf(owner: OwnedPartition, left: { messages: number; bytes: number }): PartitionProgress[] {
    const next = owner.phase === 'ended' ? undefined : owner.progress();
    if (next === undefined) return [];
    const kept = this.#partitions.get(owner);
    if (kept === undefined) return [{ ...next, sends: [] }];
    // What is committed may be anything after a seek. When the answer to a commit is lost it is what tells, so it has to be known before.
    if (owner.committedOffset === undefined) {
      this.#isCut = true;
      return [{ ...next, offset: owner.startOffset, sends: [] }];
    }
    const below = [...kept.records].filter(([offset]) => offset < next.offset);
    below.sort(([a], [b]) => a - b);
    const sends: KeptSend[] = [];
    let { offset } = next;
    for (const [at, record] of below) {
      const isTooMuch = left.messages <= 0 || left.bytes <= 0;
      if (record.isHeld || isTooMuch) {
        this.#isCut ||= !record.isHeld;
        offset = at;
        break;
      }
      sends.push(...record.sends);
      left.messages -= record.sends.length;
      left.bytes -= record.sendsBytes;
    }
    if (sends.length > 0) kept.servedAt = ++this.#turns;
    return offset <= owner.committedOffset ? [] : [{ ...next, offset, sends }];
  }

  /** A commit has ended: well, or for a reason that nobody knows. */
  ended(progress: readonly PartitionProgress[], how: 'acknowledged' | 'failed'): void {
    const messages = progress.reduce((sum, { sends = [] }) => sum + sends.length, 0);
    if (how === 'acknowledged') this.#size.succeeded(messages);
    else this.#size.failed(messages);
  }

  /** Everything below is written and committed. */
  landed(owner: OwnedPartition, nextOffset: number): void {
    const kept = this.#partitions.get(owner);
    if (kept === undefined) return;
    kept.dropBelow(nextOffset);
    kept.lookAt = Math.min(kept.lookAt, kept.bytes + this.#share);
    if (kept.isOverShare && kept.bytes <= this.#share * RELEASE_AT) {
      kept.isOverShare = false;
      this.#intake?.release(owner);
    }
    if (kept.records.size === 0) this.#partitions.delete(owner);
  }

  /** The first record of a partition that is not committed for now, nor anything above it. */
  heldOffset(owner: OwnedPartition): number | undefined {
    const held = [...(this.#partitions.get(owner)?.records ?? [])].filter(([, { isHeld }]) => isHeld);
    return held.length === 0 ? undefined : Math.min(...held.map(([offset]) => offset));
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

  /** What a record has sent cannot be written: from now on this is kept in its place. @throws InvalidOptionError, and what a plugin throws */
  replace(record: KeptRecord, message: OutgoingRecord | undefined): void {
    const { item } = record;
    const { offset } = item.received;
    record.sends = message === undefined ? [] : [{ offset, message: this.#accept(message, item) }];
    record.isDeadLetter = message !== undefined;
  }

  /** What each partition may keep above its frontier. */
  get #share(): number {
    return this.#parts.maxBytes / Math.max(1, this.#intake?.partitions() ?? 1);
  }

  #accept(message: OutgoingRecord, item: CallItem): OutgoingRecord {
    const outgoing = ownedMessage(this.#parts.pass(message, item.record));
    this.#parts.check(outgoing);
    return outgoing;
  }
}
