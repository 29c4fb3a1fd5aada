/** What a client says of itself from time to time, where it is told to. Totals are since it was made. */
export interface ClientStatistics {
  readonly client: 'consumer' | 'producer';
  /** Of a consumer: fetched and not polled yet. Of a producer: sent and not acknowledged. */
  readonly queuedRecords: number;
  readonly queuedBytes: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** The brokers that it has heard of. */
  readonly brokers: readonly BrokerStatistics[];
}

/** One broker, as a client sees it. */
export interface BrokerStatistics {
  readonly id: number;
  /** How long its answers took lately, at the mean; undefined when there were none. */
  readonly rttMs: number | undefined;
  /** Requests that wait to be sent, or for their answer. */
  readonly openRequests: number;
}
