import { IllegalStateError } from '../errors.ts';
import type { ConnectOptions } from '../kafka-client.ts';

interface Client {
  connect(options: ConnectOptions): Promise<void>;
  close(...given: never): Promise<void>;
}

/** The clients of an embedded cluster that are connected, or about to be: all of them must be gone before the cluster is. */
export class EmbeddedClients {
  readonly #connected = new Map<Client, () => Promise<void>>();
  #isClosed = false;

  get size(): number {
    return this.#connected.size;
  }

  /** @throws IllegalStateError once the cluster is disposed of */
  assertOpen(): void {
    if (this.#isClosed) throw new IllegalStateError('the embedded Kafka is disposed of: start a new one');
  }

  /** Watches a client from its connect to its end; `end` closes it when the cluster goes first. */
  watch<Watched extends Client>(client: Watched, end: () => Promise<void>): Watched {
    const connect = client.connect.bind(client);
    const close = client.close.bind(client);
    const forget = (): void => void this.#connected.delete(client);
    client.connect = async (options) => {
      this.assertOpen();
      // A second call is refused by the client, which stays as it is.
      if (this.#connected.has(client)) return connect(options);
      this.#connected.set(client, end);
      try {
        await connect(options);
      } catch (error) {
        forget();
        throw error;
      }
    };
    client.close = async (...given) => {
      try {
        await close(...given);
      } finally {
        forget();
      }
    };
    return client;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(Array.from(this.#connected.values(), (end) => end()));
  }
}
