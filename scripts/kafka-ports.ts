import { connect, createServer, type Server } from 'node:net';
import type { BrokerPorts } from './kafka-properties.ts';

/** Ports that nobody listens on at the moment, for clusters that must not meet another one. */
export async function freePorts(brokers: number): Promise<BrokerPorts[]> {
  const servers = await Promise.all(Array.from({ length: brokers * 6 }, listenAnywhere));
  const free = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return Array.from({ length: brokers }, (_, index) => {
    const [plain, controller, tls, mutualTls, saslTls, saslPlain] = free.slice(index * 6) as [
      ...[number, number, number, number, number, number],
    ];
    return { plain, controller, tls, mutualTls, saslTls, saslPlain };
  });
}

/** 9092, 9094, 9096 as everybody expects; the secure listeners from 9192 on. */
export function defaultPorts(brokers: number): BrokerPorts[] {
  return Array.from({ length: brokers }, (_, index) => {
    const plain = 9092 + 2 * index;
    const tls = 9192 + 10 * index;
    return { plain, controller: plain + 1, tls, mutualTls: tls + 1, saslTls: tls + 2, saslPlain: tls + 3 };
  });
}

/** @throws if anybody listens on one of these */
export async function refusePortsInUse(ports: readonly BrokerPorts[], secure: boolean): Promise<void> {
  for (const { plain, controller, ...secured } of ports) {
    for (const port of [plain, controller, ...(secure ? Object.values(secured) : [])]) {
      if (await isListening(port, '127.0.0.1')) throw new Error(`port ${port} is in use by another program`);
    }
  }
}

/** Whether somebody accepts connections there. */
export async function isListening(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const answer = (listening: boolean): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}

function listenAnywhere(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
