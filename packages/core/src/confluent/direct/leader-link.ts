import { UnsupportedBrokerError } from '../../errors.ts';
import { backoffMs } from './backoff.ts';
import type { BrokerAddress } from './broker-address.ts';
import { BrokerConnection } from './broker-connection.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import { type FetchRequest, writeFetchRequest } from './fetch-request.ts';
import { type FetchResponse, readFetchResponse } from './fetch-response.ts';
import { FETCH, fetchVersion } from './fetch-versions.ts';
import { boundedThrottleMs } from './throttle.ts';

/** The way to one broker: a connection while there is one, and when to try again while there is none. */
export class LeaderLink {
  /** A request is on its way. */
  isBusy = false;
  /** Nothing is asked before that time: the broker is away, or has asked for it. */
  notBefore = 0;
  #failures = 0;
  #connection: BrokerConnection | undefined;
  #version = 0;
  #address: BrokerAddress | undefined;
  readonly #closing = new AbortController();

  /** How often in a row it has failed. */
  get failures(): number {
    return this.#failures;
  }

  /** @throws UnsupportedBrokerError; any other Error for a broker that is away or answers nonsense, after which the connection is closed */
  async fetch(
    library: DirectLibrary,
    options: DirectOptions,
    address: BrokerAddress,
    request: FetchRequest,
  ): Promise<FetchResponse> {
    try {
      const connection = await this.#connected(library, options, address);
      const api = { key: FETCH, version: this.#version };
      const response = readFetchResponse(await connection.request(api, writeFetchRequest(api.version, request)));
      if (response.errorCode !== 0) throw new Error(`it refuses to be asked (${response.errorCode})`);
      this.#failures = 0;
      this.notBefore = performance.now() + boundedThrottleMs(response.throttleMs);
      return response;
    } catch (error) {
      this.#connection?.close();
      this.#failures++;
      this.notBefore = performance.now() + backoffMs(this.#failures);
      throw error;
    }
  }

  close(): void {
    this.#closing.abort();
    this.#connection?.close();
  }

  async #connected(library: DirectLibrary, options: DirectOptions, address: BrokerAddress): Promise<BrokerConnection> {
    const isSame = this.#address?.host === address.host && this.#address.port === address.port;
    if (this.#connection?.isOpen === true && isSame) return this.#connection;
    this.#connection?.close();
    const own = { clientId: options.clientId, ...options.connection };
    const connection = await BrokerConnection.open(library, address, own, this.#closing.signal);
    this.#connection = connection;
    this.#address = address;
    const answer = await fetchVersion(connection);
    if ('against' in answer) {
      const broker = `broker ${address.id} (${address.host}:${address.port})`;
      throw new UnsupportedBrokerError(`${broker}: ${answer.against}`);
    }
    this.#version = answer.version;
    return connection;
  }
}
