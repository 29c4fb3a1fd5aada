import { limitFunction } from 'p-limit';
import type { KafkaProducer } from '../kafka-client.ts';
import type { KafkaRecord, OutgoingRecord } from '../record.ts';
import { BatchedSends } from './batched-sends.ts';
import { redriveMessage, redriveTarget } from './redrive-message.ts';
import type { ResolvedRedriveOptions } from './redrive-options.ts';
import type { RedriveSurvey } from './redrive-survey.ts';

/** Writes dead letters to their targets, so many at once; in a dry run it only says what it would write. */
export class RedriveWriter {
  /**
   * Resolves when the broker has acknowledged it. Rejects without having written when `mayWrite` says no, once it is its turn, and when the signal is
   * aborted meanwhile: it may be written then, and nobody waits for it.
   */
  readonly write: (record: KafkaRecord, signal: AbortSignal, mayWrite: () => void) => Promise<OutgoingRecord>;
  readonly #to: string | undefined;
  readonly #survey: RedriveSurvey;
  readonly #producer: KafkaProducer | undefined;
  readonly #sends: BatchedSends | undefined;

  constructor(options: ResolvedRedriveOptions, survey: RedriveSurvey) {
    const { kafka, clock, logger, to, concurrency, dryRun } = options;
    this.#to = to;
    this.#survey = survey;
    this.#producer = dryRun ? undefined : kafka.producer({ clock, logger });
    this.#sends = this.#producer === undefined ? undefined : new BatchedSends(this.#producer);
    // In the order of the calls, which the idempotent producer keeps.
    this.write = limitFunction((record, signal, mayWrite) => this.#write(record, signal, mayWrite), { concurrency });
  }

  async connect(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#producer?.connect({ timeoutMs, ...(signal === undefined ? {} : { signal }) });
  }

  async close(timeoutMs: number): Promise<void> {
    await this.#producer?.close(timeoutMs);
  }

  async #write(record: KafkaRecord, signal: AbortSignal, mayWrite: () => void): Promise<OutgoingRecord> {
    mayWrite();
    const target = redriveTarget(record, this.#to);
    const partitions = await this.#survey.partitionCount(target.topic);
    const isThere = target.partition !== undefined && target.partition < partitions;
    const message = redriveMessage(record, target.topic, isThere ? target.partition : undefined);
    const maySend = (): void => {
      signal.throwIfAborted();
      mayWrite();
    };
    if (this.#sends !== undefined) await unlessAborted(this.#sends.send(message, maySend), signal);
    return message;
  }
}

async function unlessAborted(sent: Promise<unknown>, signal: AbortSignal): Promise<void> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  try {
    await Promise.race([sent, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
