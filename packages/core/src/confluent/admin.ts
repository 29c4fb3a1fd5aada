import { InvalidOptionError, type KafkaWorkerError } from '../errors.ts';
import type { ConnectOptions, KafkaAdmin } from '../kafka-client.ts';
import type { Logger } from '../logger.ts';
import type { ClientProperties, OAuthBearerToken } from './client-options.ts';
import { nativeTopic } from './native-arguments.ts';
import { type NativeAdmin, type NativeProducer, newNativeAdmin, newNativeProducer } from './native-client.ts';
import { RawClient } from './raw-client.ts';

const REQUEST_MS = 15_000;

/** The broker's own default. */
const DEFAULT_REPLICATION = -1;

/** What an admin client is made with. */
export interface ConfluentAdminOptions {
  readonly brokers: readonly string[];
  readonly properties: ClientProperties;
  readonly token: (() => Promise<OAuthBearerToken>) | undefined;
  readonly logger: Logger;
}

/** The port's admin client on librdkafka. It borrows a producer's connections, since the raw admin client reports no failure of its own. */
export class ConfluentAdmin implements KafkaAdmin {
  readonly #raw: RawClient<NativeProducer>;
  #admin: NativeAdmin | undefined;

  constructor(options: ConfluentAdminOptions) {
    const { properties, logger } = options;
    const report = (error: KafkaWorkerError): void =>
      logger.debug('kafka admin client reports', { error: error.message });
    this.#raw = new RawClient({ ...options, report }, (callbacks) => newNativeProducer(properties, callbacks));
  }

  async connect(options: ConnectOptions): Promise<void> {
    await this.#raw.connect(options, () => this.#raw.native.setPollInBackground(true));
    this.#admin = newNativeAdmin(this.#raw.native);
  }

  async createTopic(
    topic: string,
    options: { readonly partitions: number; readonly config?: Readonly<Record<string, string>> },
  ): Promise<void> {
    const { partitions, config } = options;
    if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > 2 ** 31 - 1) {
      throw new InvalidOptionError('options.partitions', 'a whole number, at least 1', partitions);
    }
    for (const [name, value] of Object.entries(config ?? {})) {
      if (typeof value !== 'string')
        throw new InvalidOptionError(`options.config[${JSON.stringify(name)}]`, 'a string', value);
    }
    const request = {
      topic: nativeTopic('topic', topic),
      num_partitions: partitions,
      replication_factor: DEFAULT_REPLICATION,
      ...(config === undefined ? {} : { config: { ...config } }),
    };
    await this.#raw.call<void>(`topic ${topic} cannot be created`, REQUEST_MS, (_native, done) =>
      this.#admin?.createTopic(request, REQUEST_MS, done),
    );
  }

  async deleteTopic(topic: string): Promise<void> {
    const name = nativeTopic('topic', topic);
    await this.#raw.call<void>(`topic ${topic} cannot be deleted`, REQUEST_MS, (_native, done) =>
      this.#admin?.deleteTopic(name, REQUEST_MS, done),
    );
  }

  close(): Promise<void> {
    return this.#raw.disconnect((native, done) => native.disconnect(0, done));
  }
}
