export type { ConfluentKafkaOptions, OAuthBearerToken, SaslOptions, TlsOptions } from './client-options.ts';
export { confluentKafka } from './confluent-kafka.ts';
