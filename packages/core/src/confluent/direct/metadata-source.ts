import { BrokerConnection } from './broker-connection.ts';
import type { ClusterMap } from './cluster-map.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import { type Metadata, metadataApi, readMetadataResponse, writeMetadataRequest } from './metadata.ts';

/** Asks any broker that answers who leads what, over a connection of its own: those for records are kept waiting. */
export class MetadataSource {
  readonly #library: DirectLibrary;
  readonly #options: DirectOptions;
  readonly #map: ClusterMap;
  #connection: BrokerConnection | undefined;
  #isClosed = false;
  #next = 0;

  constructor(library: DirectLibrary, options: DirectOptions, map: ClusterMap) {
    this.#library = library;
    this.#options = options;
    this.#map = map;
  }

  /** @throws Error when the broker whose turn it is does not answer; the next call asks another one */
  async ask(topics: readonly string[]): Promise<Metadata> {
    if (this.#connection?.isOpen !== true) await this.#connect();
    const answer = await this.#connection?.request(metadataApi, writeMetadataRequest(topics));
    if (answer === undefined) throw new Error('closed while connecting');
    return readMetadataResponse(answer);
  }

  close(): void {
    this.#isClosed = true;
    this.#connection?.close();
  }

  async #connect(): Promise<void> {
    const addresses = [...this.#map.brokers, ...this.#options.brokers.map(toAddress)];
    const address = addresses[this.#next++ % addresses.length];
    if (address === undefined) throw new Error('there is no broker');
    const { clientId, connection: options } = this.#options;
    const connection = await BrokerConnection.open(this.#library, address, { clientId, ...options });
    if (this.#isClosed) {
      connection.close();
      throw new Error('closed while connecting');
    }
    this.#connection = connection;
  }
}

/** From `host:port`. */
export function toAddress(broker: string): { readonly host: string; readonly port: number } {
  const colon = broker.lastIndexOf(':');
  return { host: broker.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(broker.slice(colon + 1)) };
}
