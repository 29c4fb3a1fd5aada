export type { ConfluentKafkaOptions, OAuthBearerToken, ReaderName, SaslOptions, TlsOptions } from './client-options.ts';
export { confluentKafka } from './confluent-kafka.ts';
