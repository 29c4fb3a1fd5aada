import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Kafka's keys of requests, as far as tests look at them. */
export const apiKey = { initProducerId: 22, endTransaction: 26 } as const;

/**
 * What becomes of a request. `cut-after-answer`: the broker gets it, and the connection is cut when its answer is there, which nobody sees. `cut`: the
 * broker never gets it. One that is held is passed on when the promise resolves.
 */
export type RequestFate = 'pass' | 'cut' | 'cut-after-answer' | Promise<'pass'>;

/**
 * Stands between clients and all brokers of a cluster on this machine, and decides about every request by its key. Brokers tell their addresses themselves,
 * so those are changed in what they answer.
 */
export class RequestProxy {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #decide: (apiKey: number) => RequestFate;
  /** By the brokers' ports. */
  readonly #ports = new Map<number, number>();
  /** As brokers write them: a name, and the port behind it. */
  readonly #hosts = new Set(['localhost', '127.0.0.1']);

  private constructor(decide: (apiKey: number) => RequestFate) {
    this.#decide = decide;
  }

  /** @param brokers every broker of the cluster, as `host:port` */
  static async start(brokers: readonly string[], decide: (apiKey: number) => RequestFate): Promise<RequestProxy> {
    const proxy = new RequestProxy(decide);
    for (const broker of brokers) await proxy.#stand(broker);
    return proxy;
  }

  get brokers(): string[] {
    return [...this.#ports.values()].map((port) => `127.0.0.1:${port}`);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => void server.close(resolve))));
  }

  async #stand(broker: string): Promise<void> {
    const [host = '', port = ''] = broker.split(':');
    this.#hosts.add(host);
    const server = createServer((client) => this.#forward(client, connect(Number(port), host)));
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#ports.set(Number(port), (server.address() as AddressInfo).port);
  }

  #forward(client: Socket, broker: Socket): void {
    const cut = (): void => {
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        cut();
      });
    }
    const unseen = new Set<number>();
    // One after another: what is behind a request that is held waits too.
    let last = Promise.resolve();
    onFrames(client, (frame) => {
      last = last.then(async () => {
        if (broker.destroyed) return;
        const fate = await this.#decide(frame.readInt16BE(4));
        if (fate === 'cut') {
          cut();
          return;
        }
        if (fate === 'cut-after-answer') unseen.add(frame.readInt32BE(8));
        broker.write(frame);
      });
    });
    onFrames(broker, (frame) => {
      if (unseen.has(frame.readInt32BE(4))) cut();
      else client.write(this.#readdressed(frame));
    });
  }

  #readdressed(frame: Buffer): Buffer {
    for (const host of this.#hosts) {
      const name = Buffer.from(host);
      for (let at = frame.indexOf(name); at >= 0; at = frame.indexOf(name, at + 1)) {
        const end = at + name.length;
        const port = end + 4 <= frame.length ? this.#ports.get(frame.readInt32BE(end)) : undefined;
        if (port !== undefined) frame.writeInt32BE(port, end);
      }
    }
    return frame;
  }
}

/** Kafka's frames: a length of four bytes, and so much behind it. */
function onFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const length = 4 + rest.readInt32BE(0);
      take(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  });
}
