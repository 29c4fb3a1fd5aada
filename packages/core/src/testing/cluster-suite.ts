import { afterAll, afterEach, beforeAll, beforeEach, it } from '@jest/globals';
import { type ClusterCapabilities, type ClusterUnderTest, TestClients } from './cluster-under-test.ts';

export type GroupProtocol = 'classic' | 'consumer';

/** One run of the contract suite: the cluster, made before its first test, and each test's own clients. */
export class ClusterSuite {
  readonly capabilities: ClusterCapabilities;
  #under: ClusterUnderTest | undefined;
  #clients: TestClients | undefined;

  /** Inside a `describe`, whose hooks it sets. */
  constructor(factory: () => Promise<ClusterUnderTest>, capabilities: ClusterCapabilities) {
    this.capabilities = capabilities;
    beforeAll(async () => {
      this.#under = await factory();
    });
    beforeEach(() => {
      this.#clients = new TestClients(this.under);
    });
    afterEach(() => this.clients.close());
    afterAll(async () => {
      await this.under.dispose();
    });
  }

  get under(): ClusterUnderTest {
    if (this.#under === undefined) throw new Error('the cluster is there inside of tests only');
    return this.#under;
  }

  get clients(): TestClients {
    if (this.#clients === undefined) throw new Error('clients are there inside of tests only');
    return this.#clients;
  }

  /** A test that only an implementation with this capability has to pass. */
  having(capability: boolean): typeof it.skip {
    return capability ? it : it.skip;
  }
}
