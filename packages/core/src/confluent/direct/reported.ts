import type { KafkaWorkerError } from '../../kafka-worker-error.ts';

/** Reports what goes on for a while once, until it has passed. */
export class Reported {
  readonly #report: (error: KafkaWorkerError) => void;
  readonly #open = new Set<string>();

  constructor(report: (error: KafkaWorkerError) => void) {
    this.#report = report;
  }

  begins(what: string, error: KafkaWorkerError): void {
    if (this.#open.has(what)) return;
    this.#open.add(what);
    this.#report(error);
  }

  ended(what: string): void {
    this.#open.delete(what);
  }
}
