import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const CHANNEL = 'net.client.socket';

/** Counts what has come over every connection that this process has made through Node: not over those of librdkafka. */
export class SocketBytes {
  readonly #sockets = new Map<Socket, number>();
  readonly #noted = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    socket.once('connect', () => this.#sockets.set(socket, socket.remotePort ?? 0));
  };

  start(): void {
    subscribe(CHANNEL, this.#noted);
  }

  stop(): void {
    unsubscribe(CHANNEL, this.#noted);
  }

  /** From each of these addresses, `host:port`, in order. */
  from(addresses: readonly string[]): number[] {
    return addresses.map((address) => {
      const port = Number(address.slice(address.lastIndexOf(':') + 1));
      return [...this.#sockets].reduce((sum, [socket, of]) => (of === port ? sum + socket.bytesRead : sum), 0);
    });
  }
}
