import { BrokerConnection } from './broker-connection.ts';
import type { ClusterMap } from './cluster-map.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import { type Metadata, metadataApi, readMetadataResponse, writeMetadataRequest } from './metadata.ts';

/** After so many answers another broker is asked: one that is cut off from the others would tell the same for ever. */
const ANSWERS_OF_ONE = 5;

/** Asks any broker that answers who leads what, over a connection of its own: those for records are kept waiting. */
export class MetadataSource {
  readonly #library: DirectLibrary;
  readonly #options: DirectOptions;
  readonly #map: ClusterMap;
  #connection: BrokerConnection | undefined;
  readonly #closing = new AbortController();
  #next = 0;
  #answers = 0;

  constructor(library: DirectLibrary, options: DirectOptions, map: ClusterMap) {
    this.#library = library;
    this.#options = options;
    this.#map = map;
  }

  /** @throws Error when the broker whose turn it is does not answer; the next call asks another one */
  async ask(topics: readonly string[]): Promise<Metadata> {
    if (this.#connection?.isOpen !== true || this.#answers >= ANSWERS_OF_ONE) await this.#connect();
    this.#answers++;
    const answer = await this.#connection?.request(metadataApi, writeMetadataRequest(topics));
    if (answer === undefined) throw new Error('closed while connecting');
    return readMetadataResponse(answer);
  }

  close(): void {
    this.#closing.abort();
    this.#connection?.close();
  }

  async #connect(): Promise<void> {
    const addresses = [...this.#map.brokers, ...this.#options.brokers.map(toAddress)];
    const address = addresses[this.#next++ % addresses.length];
    if (address === undefined) throw new Error('there is no broker');
    const { clientId, connection: options } = this.#options;
    this.#connection?.close();
    this.#answers = 0;
    this.#connection = await BrokerConnection.open(
      this.#library,
      address,
      { clientId, ...options },
      this.#closing.signal,
    );
  }
}

/** From `host:port`. */
export function toAddress(broker: string): { readonly host: string; readonly port: number } {
  const colon = broker.lastIndexOf(':');
  return { host: broker.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(broker.slice(colon + 1)) };
}
