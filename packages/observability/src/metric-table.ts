/** One metric, as Prometheus and the documentation have it. */
export interface MetricDefinition {
  /** Behind the prefix. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit: 'records' | 'bytes' | 'seconds' | 'offset' | 'calls' | 'lanes' | 'events' | 'none';
  readonly labels: readonly MetricLabel[];
  readonly help: string;
}

/** What each label may be. All are bounded: by the workers, topics and partitions that there are, or by a list. */
export const metricLabels = {
  worker: "the worker's name",
  topic:
    'a topic that the worker reads, or one of the last 100 that it has read; for dead letters the one that they are written to, `OTHER` beyond 100',
  partition: 'a partition that the worker owns',
  outcome: '`handled`, `skipped` or `dead-lettered`',
  decision: '`retry`, `skip`, `dead-letter`, `freeze` or `stop`',
  change: '`assigned`, `revoked` or `lost`',
  phase: '`poll`, `idle`, `dispatch` or `commit`',
  state: '`idle`, `starting`, `running`, `draining`, `stopped` or `failed`',
  code: "the library's code of the error, or `OTHER`",
  client: '`consumer` or `producer`',
  broker: 'the id of a broker of the cluster',
  stat: '`mean`, `p99` or `max`',
} as const;

type MetricLabel = keyof typeof metricLabels;

/** Upper bounds in seconds: from a handler that looks something up to one that takes minutes. */
export const DURATION_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/** Which metric. */
export type MetricKey =
  | 'received'
  | 'receivedBytes'
  | 'settled'
  | 'failures'
  | 'handlerDuration'
  | 'batchDuration'
  | 'batchRecords'
  | 'inFlight'
  | 'inFlightBytes'
  | 'lanes'
  | 'runningCalls'
  | 'lag'
  | 'frontier'
  | 'committed'
  | 'still'
  | 'frozen'
  | 'paused'
  | 'commitDuration'
  | 'commitFailures'
  | 'rebalances'
  | 'drainDuration'
  | 'deadLetterFailures'
  | 'stuck'
  | 'errors'
  | 'loop'
  | 'state'
  | 'live'
  | 'ready'
  | 'eventLoopDelay'
  | 'clientQueued'
  | 'clientQueuedBytes'
  | 'clientSentBytes'
  | 'clientReceivedBytes'
  | 'brokerRtt'
  | 'brokerRequests';

const partition = ['worker', 'topic', 'partition'] as const;

/** Every metric. */
export const metricTable: Readonly<Record<MetricKey, MetricDefinition>> = {
  received: {
    name: 'records_received_total',
    kind: 'counter',
    unit: 'records',
    labels: ['worker'],
    help: 'Records polled and taken in.',
  },
  receivedBytes: {
    name: 'received_bytes_total',
    kind: 'counter',
    unit: 'bytes',
    labels: ['worker'],
    help: 'Bytes of the records polled and taken in.',
  },
  settled: {
    name: 'records_total',
    kind: 'counter',
    unit: 'records',
    labels: ['worker', 'topic', 'outcome'],
    help: 'Records that are finished, by what has become of them.',
  },
  failures: {
    name: 'handler_failures_total',
    kind: 'counter',
    unit: 'calls',
    labels: ['worker', 'topic', 'decision'],
    help: 'Handler calls that failed, by what was done about them: those with decision="retry" are the retries.',
  },
  handlerDuration: {
    name: 'handler_duration_seconds',
    kind: 'histogram',
    unit: 'seconds',
    labels: ['worker', 'topic'],
    help: 'How long the last handler call of each finished record took.',
  },
  batchDuration: {
    name: 'batch_duration_seconds',
    kind: 'histogram',
    unit: 'seconds',
    labels: ['worker'],
    help: 'How long each call of a batch handler took, also of one that failed.',
  },
  batchRecords: {
    name: 'batch_records_total',
    kind: 'counter',
    unit: 'records',
    labels: ['worker'],
    help: 'Records in the calls of a batch handler: divided by the number of calls, the size of a batch.',
  },
  inFlight: {
    name: 'records_in_flight',
    kind: 'gauge',
    unit: 'records',
    labels: ['worker'],
    help: 'Records received and not finished.',
  },
  inFlightBytes: {
    name: 'bytes_in_flight',
    kind: 'gauge',
    unit: 'bytes',
    labels: ['worker'],
    help: 'Bytes that the records received and not finished keep in memory.',
  },
  lanes: { name: 'lanes', kind: 'gauge', unit: 'lanes', labels: ['worker'], help: 'Lanes with records or calls.' },
  runningCalls: {
    name: 'handler_calls_running',
    kind: 'gauge',
    unit: 'calls',
    labels: ['worker'],
    help: 'Handler calls that run, or whose messages are under way.',
  },
  lag: {
    name: 'partition_lag',
    kind: 'gauge',
    unit: 'records',
    labels: partition,
    help: "Records between the partition's frontier and the end of its log; left out until the client has heard of the end.",
  },
  frontier: {
    name: 'partition_frontier_offset',
    kind: 'gauge',
    unit: 'offset',
    labels: partition,
    help: 'Everything before this offset is finished.',
  },
  committed: {
    name: 'partition_committed_offset',
    kind: 'gauge',
    unit: 'offset',
    labels: partition,
    help: 'The offset that is committed; left out while there is none.',
  },
  still: {
    name: 'partition_still_seconds',
    kind: 'gauge',
    unit: 'seconds',
    labels: partition,
    help: 'How long the frontier has not moved; 0 while nothing is in flight.',
  },
  frozen: {
    name: 'partition_frozen',
    kind: 'gauge',
    unit: 'none',
    labels: partition,
    help: 'Where the partition stands still until it is unfrozen: 1 for a frozen partition, or how many of its keys are.',
  },
  paused: {
    name: 'partition_paused',
    kind: 'gauge',
    unit: 'none',
    labels: partition,
    help: '1 for a partition that the user has paused.',
  },
  commitDuration: {
    name: 'commit_duration_seconds',
    kind: 'histogram',
    unit: 'seconds',
    labels: ['worker'],
    help: 'How long commits took until they were acknowledged.',
  },
  commitFailures: {
    name: 'commit_failures_total',
    kind: 'counter',
    unit: 'events',
    labels: ['worker'],
    help: 'Commits that failed, wholly or in part.',
  },
  rebalances: {
    name: 'rebalance_events_total',
    kind: 'counter',
    unit: 'events',
    labels: ['worker', 'change'],
    help: 'Assignments, revocations and losses of partitions.',
  },
  drainDuration: {
    name: 'revoke_drain_seconds',
    kind: 'histogram',
    unit: 'seconds',
    labels: ['worker'],
    help: 'How long revoked partitions took to be given back: their handlers, and their last commit.',
  },
  deadLetterFailures: {
    name: 'dead_letter_failures_total',
    kind: 'counter',
    unit: 'events',
    labels: ['worker', 'topic'],
    help: 'Dead letters that could not be written; each is tried again.',
  },
  stuck: {
    name: 'stuck_handlers_total',
    kind: 'counter',
    unit: 'calls',
    labels: ['worker'],
    help: 'Handlers that ignored their aborted signal.',
  },
  errors: {
    name: 'errors_total',
    kind: 'counter',
    unit: 'events',
    labels: ['worker', 'code'],
    help: 'What went wrong that no other metric counts: a broker that went away, a listener that threw.',
  },
  loop: {
    name: 'loop_seconds_total',
    kind: 'counter',
    unit: 'seconds',
    labels: ['worker', 'phase'],
    help: 'Where the time of the loop goes: polls that brought records, polls that brought none, taking records in and starting handlers, and commits. Polls and commits go on beside the rest, so the sum may be more than the time that passed.',
  },
  clientQueued: {
    name: 'client_queue_records',
    kind: 'gauge',
    unit: 'records',
    labels: ['worker', 'client'],
    help: "Records in the client's own queue: fetched and not polled, or sent and not acknowledged. Like every metric of a client it is there only with librdkafka's statistics.interval.ms.",
  },
  clientQueuedBytes: {
    name: 'client_queue_bytes',
    kind: 'gauge',
    unit: 'bytes',
    labels: ['worker', 'client'],
    help: "Bytes of the records in the client's own queue.",
  },
  clientSentBytes: {
    name: 'client_sent_bytes_total',
    kind: 'counter',
    unit: 'bytes',
    labels: ['worker', 'client'],
    help: 'Bytes that the client has sent to brokers.',
  },
  clientReceivedBytes: {
    name: 'client_received_bytes_total',
    kind: 'counter',
    unit: 'bytes',
    labels: ['worker', 'client'],
    help: 'Bytes that the client has received from brokers.',
  },
  brokerRtt: {
    name: 'client_broker_rtt_seconds',
    kind: 'gauge',
    unit: 'seconds',
    labels: ['worker', 'client', 'broker'],
    help: "How long a broker's answers took in the last interval of the statistics, at the mean; left out when there were none.",
  },
  brokerRequests: {
    name: 'client_broker_requests_open',
    kind: 'gauge',
    unit: 'calls',
    labels: ['worker', 'client', 'broker'],
    help: 'Requests to a broker that wait to be sent, or for their answer.',
  },
  state: { name: 'state', kind: 'gauge', unit: 'none', labels: ['worker', 'state'], help: "1 for the worker's state." },
  live: { name: 'live', kind: 'gauge', unit: 'none', labels: ['worker'], help: '1 while the worker is live.' },
  ready: { name: 'ready', kind: 'gauge', unit: 'none', labels: ['worker'], help: '1 while the worker is ready.' },
  eventLoopDelay: {
    name: 'event_loop_delay_seconds',
    kind: 'gauge',
    unit: 'seconds',
    labels: ['stat'],
    help: 'How late the event loop of the process came to what was due, since the last scrape.',
  },
};
