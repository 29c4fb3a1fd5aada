import { isIP } from 'node:net';
import type { Connection, ConnectionOptions } from '@platformatic/kafka';
import { within } from '../bounded.ts';
import type { DirectLibrary } from './direct-library.ts';
import { FrameGuard } from './frame-guard.ts';

/** One response may hold this much: a batch that is larger than what was asked for comes whole, and brokers take none of this size. */
const MAX_RESPONSE_BYTES = 1024 ** 3;

const CLOSE_MS = 1_000;

/** A request of Kafka's protocol, in a version with tagged fields. */
export interface RequestApi {
  readonly key: number;
  readonly version: number;
  /** The question for versions is answered without them in front. */
  readonly isAnswerHeaderOld?: boolean;
}

/**
 * A connection to one broker, logged in. After any failure, a request that took too long among them, it is closed: what comes behind that could be
 * taken for the answer to something else.
 */
export class BrokerConnection {
  readonly #library: DirectLibrary;
  readonly #connection: Connection;
  #isClosed = false;
  /** Nobody has to close it any more. */
  #forget: () => void = () => {};

  private constructor(library: DirectLibrary, connection: Connection) {
    this.#library = library;
    this.#connection = connection;
    // What was under way is told; without a listener the event would end the process.
    connection.on('error', () => this.close());
    connection.on('close', () => {
      this.#isClosed = true;
      this.#forget();
      // It would log in again when that is due, and keep the process alive until then.
      void connection.close();
    });
  }

  /**
   * It is closed when `signal` is aborted: whoever does that may not have been handed it yet.
   * @throws Error for what kept it from connecting or logging in, within the options' times, and at once when `signal` is aborted
   */
  static async open(
    library: DirectLibrary,
    address: { readonly host: string; readonly port: number },
    options: ConnectionOptions & { readonly clientId: string | undefined },
    signal: AbortSignal,
  ): Promise<BrokerConnection> {
    const { clientId, ...own } = options;
    signal.throwIfAborted();
    // As librdkafka does it: behind some addresses the name decides which broker, and which certificate, answers.
    const named = own.tls !== undefined && isIP(address.host) === 0 ? { ...own, tlsServerName: address.host } : own;
    const connection = library.newConnection(clientId, named);
    const opened = new BrokerConnection(library, connection);
    const aborted = opened.#closesWith(signal);
    try {
      const connected = connection.connect(address.host, address.port);
      // Behind the library, which begins to listen then too, and before the answer to a login.
      opened.#socket?.once(own.tls === undefined ? 'connect' : 'secureConnect', () => opened.#guard());
      await Promise.race([connected, aborted]);
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.#connection.status !== 'closed' && this.#connection.status !== 'error';
  }

  /** The answer's bytes behind its header. @throws Error; then the connection is closed */
  async request(api: RequestApi, payload: Buffer): Promise<Buffer> {
    try {
      // While it logs in again nothing else may be said.
      if (this.#connection.status === 'reauthenticating') await this.#connection.ready();
      return await new Promise<Buffer>((resolve, reject) => {
        this.#connection.send<Buffer>(
          api.key,
          api.version,
          () => this.#library.toWriter(payload),
          (_correlationId, _key, _version, reader) => reader.buffer.slice(),
          true,
          api.isAnswerHeaderOld !== true,
          (error, answer) => {
            if (error) reject(error);
            else resolve(answer as Buffer);
          },
        );
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#forget();
    const socket = this.#socket;
    const gone = within(this.#connection.close(), CLOSE_MS, () => new Error('not closed in time'));
    gone.catch(() => {}).finally(() => socket?.destroy());
  }

  /** Rejects when `signal` is aborted. */
  #closesWith(signal: AbortSignal): Promise<never> {
    return new Promise((_resolve, reject) => {
      const abort = (): void => {
        reject(new Error('closed while connecting'));
        this.close();
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#forget = () => signal.removeEventListener('abort', abort);
    });
  }

  /** Not there before it connects. */
  get #socket(): Connection['socket'] | undefined {
    return this.#connection.socket;
  }

  #guard(): void {
    const { socket } = this.#connection;
    const guard = new FrameGuard(MAX_RESPONSE_BYTES);
    // In front of the library's own, which would throw where nobody catches it.
    const listeners = socket.listeners('data') as ((chunk: Buffer) => void)[];
    socket.removeAllListeners('data');
    socket.on('data', (chunk: Buffer) => {
      const flaw = guard.flawOf(chunk);
      if (flaw === undefined) for (const listener of listeners) listener(chunk);
      else socket.destroy(new Error(flaw));
    });
  }
}
