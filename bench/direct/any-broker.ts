import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerConnection, type RequestApi } from '../../packages/core/src/confluent/direct/broker-connection.ts';
import { loadDirectLibrary } from '../../packages/core/src/confluent/direct/direct-library.ts';
import { toAddress } from '../../packages/core/src/confluent/direct/metadata-source.ts';

const ASK_MS = 30_000;
const ANSWER_MS = 5_000;
const PAUSE_MS = 50;

/** Asks a cluster what no client of ours can, of any broker that answers: another one when that one is away. */
export class AnyBroker {
  readonly #brokers: readonly string[];
  #connection: BrokerConnection | undefined;
  #next = 0;
  #isClosed = false;

  /** @param brokers as `host:port` */
  constructor(brokers: readonly string[]) {
    this.#brokers = brokers;
  }

  /** @throws Error when none has answered for half a minute, or it was closed */
  async ask(api: RequestApi, payload: Buffer): Promise<Buffer> {
    for (const deadline = Date.now() + ASK_MS; ; ) {
      try {
        this.#connection = this.#connection?.isOpen === true ? this.#connection : await this.#connect();
        return await this.#connection.request(api, payload);
      } catch (error) {
        if (this.#isClosed || Date.now() > deadline) throw error;
        await sleep(PAUSE_MS);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#connection?.close();
  }

  async #connect(): Promise<BrokerConnection> {
    const broker = this.#brokers[this.#next++ % this.#brokers.length] ?? '';
    const timeouts = { connectTimeout: ANSWER_MS, requestTimeout: ANSWER_MS };
    return BrokerConnection.open(
      await loadDirectLibrary(),
      toAddress(broker),
      { clientId: 'any-broker', ...timeouts },
      AbortSignal.timeout(ANSWER_MS),
    );
  }
}
