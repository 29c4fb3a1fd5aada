import type { KafkaProducer } from '../kafka-client.ts';
import { isKafkaWorkerError } from '../kafka-worker-error.ts';
import type { OutgoingRecord } from '../record.ts';

/**
 * Sends of one producer. A broker refuses a batch as a whole, for one message that is too large for its topic: what was refused is sent again, one after
 * the other and with nothing beside it, so that whatever is refused then is itself at fault.
 */
export class BatchedSends {
  readonly #producer: KafkaProducer;
  #underWay = 0;
  #idle: (() => void) | undefined;
  /** Until then nothing new is sent. */
  #alone: Promise<void> | undefined;

  constructor(producer: KafkaProducer) {
    this.#producer = producer;
  }

  /** Resolves when the broker has acknowledged the message. `maySend` is called right before, and throws when it is not to be sent any more. */
  async send(message: OutgoingRecord, maySend: () => void): Promise<void> {
    while (this.#alone !== undefined) await this.#alone;
    maySend();
    this.#underWay++;
    try {
      await this.#producer.send(message);
      return;
    } catch (error) {
      if (!isKafkaWorkerError(error) || error.code !== 'PRODUCE' || error.retriable) throw error;
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) this.#idle?.();
    }
    await this.#sendAlone(message, maySend);
  }

  #sendAlone(message: OutgoingRecord, maySend: () => void): Promise<void> {
    const before = this.#alone;
    const send = async (): Promise<void> => {
      await before;
      if (this.#underWay > 0) {
        await new Promise<void>((resolve) => {
          this.#idle = resolve;
        });
      }
      maySend();
      await this.#producer.send(message);
    };
    const sent = send();
    const over = sent
      .catch(() => {})
      .then(() => {
        if (this.#alone === over) this.#alone = undefined;
      });
    this.#alone = over;
    return sent;
  }
}
