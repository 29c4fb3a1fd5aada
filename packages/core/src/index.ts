// For applications.
export { answerPaths, type HttpAnswer, type HttpPath } from './answer-paths.ts';
export type { AssignmentHookContext, OnAssigned, OnRevoked, RevocationHookContext } from './assignment-hooks.ts';
export type { BrokerStatistics, ClientStatistics } from './client-statistics.ts';
export { type Clock, systemClock, type Timer } from './clock.ts';
// For authors of strategies, deliveries and Kafka clients.
export type { ConcurrencyStrategy, LaneRule, LaneTurn, LaneWidth } from './concurrency.ts';
export { deadLetterHeaders } from './dead-letter-message.ts';
export { atLeastOnceDelivery, perPartitionStrategy, stopPolicy } from './defaults.ts';
export type {
  Delivery,
  DeliveryCheck,
  DeliveryContext,
  DeliverySession,
  KeptSend,
  PartitionProgress,
  Progress,
} from './delivery.ts';
export { type Deserializer, json, type StandardSchema, string } from './deserializer.ts';
export {
  AssignmentHookError,
  AuthenticationError,
  AuthorizationError,
  ClientError,
  CommitError,
  type CommitFailure,
  ConnectionError,
  IllegalStateError,
  InvalidOptionError,
  MissingDependencyError,
  PollError,
  ProduceError,
  ShutdownTimeoutError,
  TransactionError,
  UnknownTopicError,
  UnsupportedBrokerError,
  type UnwritableSend,
} from './errors.ts';
export type { WorkerEvents } from './events.ts';
export type { Brake, Decision, Failure, FailurePolicy, PolicyAction } from './failure.ts';
export type { UnfreezeTarget } from './freezer.ts';
export type { BatchContext, BatchHandler, Handler, HandlerContext } from './handler.ts';
export {
  DeadLetterBrakeError,
  DeserializationError,
  HandlerError,
  HandlerTimeoutError,
  LaneError,
  NonRetriableError,
  RetriableError,
  StuckHandlerError,
} from './handler-errors.ts';
export { type HealthFileOptions, healthFile } from './health-file.ts';
export { type HealthServer, type HealthServerOptions, healthServer } from './health-server.ts';
export type {
  AssignmentEvent,
  CommittedOffset,
  ConnectOptions,
  KafkaAdmin,
  KafkaAdminOptions,
  KafkaClientOptions,
  KafkaCluster,
  KafkaConsumer,
  KafkaConsumerOptions,
  KafkaProducer,
  KafkaProducerOptions,
  LogPosition,
  Poll,
  ReaderChoice,
  StartOffset,
  Watermarks,
} from './kafka-client.ts';
export { type ErrorCode, isKafkaWorkerError, KafkaWorkerError } from './kafka-worker-error.ts';
export { checkLaneRule, hasKeyLanes } from './lane-rule.ts';
export type { WorkerState } from './lifecycle.ts';
export { CorruptRecordError, LogTruncatedError, OffsetOutOfRangeError } from './log-errors.ts';
export type { Logger } from './logger.ts';
export type { Plugin, PluginHost } from './plugin.ts';
export type { Headers, KafkaRecord, NextOffset, OutgoingRecord, TopicPartition } from './record.ts';
export {
  copyRecord,
  HeaderList,
  noHeaders,
  OwnedRecord,
  type ReceivedRecord,
  recordToJSON,
  type SharedMemory,
} from './record.ts';
export { type Backoff, type RetryOptions, retryPolicy } from './retry-policy.ts';
export { type RunUntilSignalOptions, runUntilSignal } from './run-until-signal.ts';
export type { Runnable } from './runnable.ts';
export { type HttpService, type ServeHttpOptions, serveHttp } from './serve-http.ts';
export type { StopOptions } from './stop-options.ts';
export type { TransactionalProducer, TransactionalProducerOptions } from './transactional-producer.ts';
export { Worker } from './worker.ts';
export { type AnyWorker, WorkerGroup } from './worker-group.ts';
export type { CommonWorkerOptions, WorkerOptions } from './worker-options.ts';
export type { LaneStatus, PartitionStatus, WorkerHealth, WorkerStatus, WorkerSummary } from './worker-status.ts';
