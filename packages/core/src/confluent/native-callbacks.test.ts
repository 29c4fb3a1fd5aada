import { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { letGo, withCallbacks } from './native-callbacks.ts';

type Callback = (value: number) => unknown;

/** As the binding does it: what it is given is kept. */
class Client extends EventEmitter {
  _metadata: unknown = { topics: [] };
  readonly config: Readonly<Record<string, unknown>>;

  constructor(config: Readonly<Record<string, unknown>>) {
    super();
    this.config = config;
  }
}

// Closed clients, with their group's metadata and all that their callbacks reach, once stayed for as long as the process.
describe('callbacks of a native client', () => {
  it('are called until they are let go, with everything that was listened to', () => {
    const values: number[] = [];
    const client = withCallbacks(
      { rebalance_cb: (value: number) => values.push(value), dr_msg_cb: true },
      (own) => new Client(own),
    );
    client.on('event.log', () => {});
    const rebalance = client.config.rebalance_cb as Callback;
    expect(client.config.dr_msg_cb).toBe(true);
    expect(rebalance(1)).toBe(1);
    letGo(client);
    expect(rebalance(2)).toBeUndefined();
    expect({ values, listeners: client.eventNames(), metadata: client._metadata }).toEqual({
      ...{ values: [1], listeners: [], metadata: undefined },
    });
  });

  it('keep nothing of their owner once they are let go', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const make = (): { readonly client: Client; readonly owner: WeakRef<object> } => {
      const owner = { records: new Array(1_000).fill('x') };
      const client = withCallbacks({ rebalance_cb: () => owner.records.length }, (own) => new Client(own));
      client.on('event.log', () => owner.records.length);
      return { client, owner: new WeakRef(owner) };
    };
    const { client, owner } = make();
    letGo(client);
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(owner.deref()).toBeUndefined();
    expect(client.config.rebalance_cb).toBeInstanceOf(Function);
  });
});
