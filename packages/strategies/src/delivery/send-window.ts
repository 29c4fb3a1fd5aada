import type { KeptSend, PartitionProgress, TransactionalProducer } from '@kafka-worker/core';
import { asError } from './as-error.ts';

/** A message, and the partition whose record has sent it. */
export type SendOf = readonly [PartitionProgress, KeptSend];

/** A message that was not written, and why. */
export interface FailedSend {
  readonly of: SendOf;
  readonly error: Error;
}

/** Messages that are on their way, so many at most: the client's own queue is bounded. Counted, for a promise for each would cost more than the rest. */
export class SendWindow {
  readonly #producer: TransactionalProducer;
  readonly #size: number;
  #underWay = 0;
  #failed: FailedSend[] = [];
  /** Somebody waits until so many are on their way at most. */
  #awaited: { readonly atMost: number; readonly resolve: () => void } | undefined;

  constructor(producer: TransactionalProducer, size: number) {
    this.#producer = producer;
    this.#size = size;
  }

  /** Whether one that was sent since {@link settled} has failed. */
  get hasFailed(): boolean {
    return this.#failed.length > 0;
  }

  send(of: SendOf): void {
    this.#underWay++;
    try {
      this.#producer.send(of[1].message).then(this.#answered, (thrown: unknown) => this.#refused(of, thrown));
    } catch (thrown) {
      this.#refused(of, thrown);
    }
  }

  get isFull(): boolean {
    return this.#underWay >= this.#size;
  }

  /** Resolves when there is room for many again. */
  room(): Promise<void> {
    return this.#untilAtMost(this.#size / 2);
  }

  /** Resolves when all are answered, with those that failed, in the order of their answers. */
  async settled(): Promise<readonly FailedSend[]> {
    await this.#untilAtMost(0);
    const failed = this.#failed;
    this.#failed = [];
    return failed;
  }

  #refused(of: SendOf, thrown: unknown): void {
    this.#failed.push({ of, error: asError(thrown) });
    this.#answered();
  }

  readonly #answered = (): void => {
    this.#underWay--;
    if (this.#awaited === undefined || this.#underWay > this.#awaited.atMost) return;
    this.#awaited.resolve();
    this.#awaited = undefined;
  };

  async #untilAtMost(atMost: number): Promise<void> {
    if (this.#underWay <= atMost) return;
    await new Promise<void>((resolve) => {
      this.#awaited = { atMost, resolve };
    });
  }
}
