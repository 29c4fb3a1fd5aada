import { InvalidOptionError } from '../errors.ts';
import type { ConnectOptions, KafkaAdmin } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { Logger } from '../logger.ts';
import type { ClientProperties, OAuthBearerToken } from './client-options.ts';
import { checkConnectOptions } from './kafka-client-options.ts';
import { nativePartitionCount, nativeTopic } from './native-arguments.ts';
import { type NativeProducer, newNativeAdmin, newNativeProducer } from './native-client.ts';
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

  constructor(options: ConfluentAdminOptions) {
    const { properties, logger } = options;
    const report = (error: KafkaWorkerError): void =>
      logger.debug('kafka admin client reports', { error: error.message });
    this.#raw = new RawClient({ ...options, report, newAdmin: newNativeAdmin }, (callbacks) =>
      newNativeProducer(properties, callbacks),
    );
  }

  async connect(options: ConnectOptions): Promise<void> {
    await this.#raw.connect(checkConnectOptions(options), () => this.#raw.native.setPollInBackground(true));
  }

  async createTopic(
    topic: string,
    options: { readonly partitions: number; readonly config?: Readonly<Record<string, string>> },
  ): Promise<void> {
    const name = nativeTopic('topic', topic);
    if (typeof options !== 'object' || options === null)
      throw new InvalidOptionError('options', '{ partitions }', options);
    const { partitions, config } = options;
    const request = {
      topic: name,
      num_partitions: nativePartitionCount('options.partitions', partitions),
      replication_factor: DEFAULT_REPLICATION,
      ...(config === undefined ? {} : { config: topicConfig(config) }),
    };
    await this.#raw.callAdmin<void>(`topic ${name} cannot be created`, REQUEST_MS, (admin, done) =>
      admin.createTopic(request, REQUEST_MS, done),
    );
  }

  async deleteTopic(topic: string): Promise<void> {
    const name = nativeTopic('topic', topic);
    await this.#raw.callAdmin<void>(`topic ${name} cannot be deleted`, REQUEST_MS, (admin, done) =>
      admin.deleteTopic(name, REQUEST_MS, done),
    );
  }

  close(): Promise<void> {
    return this.#raw.disconnect((native, done) => native.disconnect(0, done));
  }
}

function topicConfig(config: unknown): Record<string, string> {
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new InvalidOptionError('options.config', 'an object of texts', config);
  for (const [name, value] of Object.entries(config)) {
    // A NUL would cut the text short on its way into the native client.
    if (typeof value !== 'string' || value.includes('\0') || name === '' || name.includes('\0'))
      throw new InvalidOptionError(`options.config[${JSON.stringify(name)}]`, 'a string', value);
  }
  return { ...config };
}
