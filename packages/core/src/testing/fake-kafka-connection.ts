import { checkConnectOptions } from '../confluent/kafka-client-options.ts';
import { IllegalStateError } from '../errors.ts';
import type { ConnectOptions, KafkaClientOptions } from '../kafka-client.ts';
import type { FakeCaller } from './fake-kafka-network.ts';
import type { FakeState } from './fake-kafka-state.ts';

/** What every client of the fake cluster has: who it is, and whether it is connected. */
export class FakeConnection {
  readonly state: FakeState;
  readonly caller: FakeCaller;
  readonly #kind: string;
  #phase: 'new' | 'connected' | 'closed' = 'new';

  constructor(kind: string, state: FakeState, options: KafkaClientOptions & { readonly groupId?: string }) {
    this.#kind = kind;
    this.state = state;
    this.caller = { groupId: options.groupId, clientId: options.clientId, clock: options.clock };
  }

  get isClosed(): boolean {
    return this.#phase === 'closed';
  }

  async connect(options: ConnectOptions): Promise<void> {
    const { timeoutMs, signal } = checkConnectOptions(options);
    if (this.#phase !== 'new') throw new IllegalStateError('fakeKafka: connect was called before');
    await this.state.connect(this.caller, timeoutMs, signal);
    // close() may have come in between.
    if (this.#phase === 'new') this.#phase = 'connected';
  }

  /** @throws IllegalStateError when it is not connected */
  assertConnected(call: string): void {
    if (this.#phase !== 'connected')
      throw new IllegalStateError(`fakeKafka: ${call} on a ${this.#kind} that is ${this.#phase}`);
  }

  close(): void {
    this.#phase = 'closed';
  }
}
