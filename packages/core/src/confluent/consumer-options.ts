import type { KafkaClientOptions, KafkaConsumerOptions } from '../kafka-client.ts';
import type { Logger } from '../logger.ts';
import type { ClientProperties, OAuthBearerToken } from './client-options.ts';
import type { DirectLibrary } from './direct/direct-library.ts';
import type { ReaderPlan } from './reader-plan.ts';

/** What a consumer is made with. */
export interface ConfluentConsumerOptions {
  readonly brokers: readonly string[];
  readonly properties: ClientProperties;
  readonly token: (() => Promise<OAuthBearerToken>) | undefined;
  readonly isStaticMember: boolean;
  /** It came only to leave in the place of another one, and is followed by nobody. */
  readonly isSuccessor?: boolean;
  readonly plan: ReaderPlan;
  /** Other codecs, in tests. */
  readonly loadLibrary?: () => Promise<DirectLibrary>;
  readonly logger: Logger;
  readonly statistics?: KafkaClientOptions['statistics'];
  readonly reading?: KafkaConsumerOptions['reading'];
}
