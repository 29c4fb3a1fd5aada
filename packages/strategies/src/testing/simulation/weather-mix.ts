/** Everything that is done to a run's processes, cluster and handlers. */
export const injectionKinds = [
  'revoke',
  'move',
  'lost',
  'kick',
  'join',
  'stop',
  'crash',
  'outage',
  'commit-refused',
  'commit-unacknowledged',
  'delay',
  'handler-failure',
  'slow-handler',
  'stuck-handler',
  'slow-hook',
  'hook-failure',
  'transaction-aborted',
  'transaction-fatal',
  'transaction-unanswered',
  'transaction-fenced',
  'transaction-held',
  'transaction-crash',
  'transaction-lost',
  'transaction-revoke',
  'transaction-stop',
  'commit-unknown',
] as const;

export type InjectionKind = (typeof injectionKinds)[number];

/** What happens to transactions, at one of their steps. */
export type TransactionEventKind = Extract<InjectionKind, `transaction-${string}` | 'commit-unknown'>;

/** How often, beside each other. */
export const transactionEvents: Readonly<Record<TransactionEventKind, number>> = {
  'transaction-aborted': 4,
  'transaction-fatal': 3,
  'transaction-unanswered': 2,
  'transaction-fenced': 2,
  'transaction-held': 2,
  'transaction-crash': 2,
  'transaction-lost': 2,
  'transaction-revoke': 2,
  'transaction-stop': 1,
  'commit-unknown': 4,
};

/** What happens at awaits; the other kinds happen inside handlers, hooks and transactions. */
export type EventKind = Exclude<
  InjectionKind,
  TransactionEventKind | 'handler-failure' | 'slow-handler' | 'stuck-handler' | 'slow-hook' | 'hook-failure'
>;

/** How often what happens. */
export interface WeatherMix {
  readonly name: string;
  readonly events: Readonly<Partial<Record<EventKind, number>>>;
  /** At most so many awaits lie between two events. */
  readonly awaitsBetween: number;
  readonly maxEvents: number;
  /** Probabilities per handler call. */
  readonly failure: number;
  readonly slow: number;
  readonly stuck: number;
}

const rebalances = { revoke: 3, move: 3, join: 2, lost: 2, kick: 1 };
const brokers = { outage: 1, 'commit-refused': 2, 'commit-unacknowledged': 2, delay: 3 };
const processes = { join: 2, stop: 3, crash: 2 };

export const weatherMixes: readonly WeatherMix[] = [
  { name: 'rebalances', events: rebalances, awaitsBetween: 40, maxEvents: 6, failure: 0.02, slow: 0.3, stuck: 0 },
  {
    name: 'brokers',
    events: { ...brokers, revoke: 1, stop: 1 },
    awaitsBetween: 30,
    maxEvents: 6,
    failure: 0.02,
    slow: 0.1,
    stuck: 0,
  },
  { name: 'processes', events: processes, awaitsBetween: 40, maxEvents: 5, failure: 0.02, slow: 0.3, stuck: 0.01 },
  {
    name: 'handlers',
    events: { revoke: 1, move: 1, stop: 1 },
    awaitsBetween: 80,
    maxEvents: 3,
    failure: 0.2,
    slow: 0.2,
    stuck: 0.05,
  },
  {
    name: 'stuck handlers',
    events: { revoke: 2, move: 2, stop: 2, lost: 1, crash: 1 },
    awaitsBetween: 50,
    maxEvents: 4,
    failure: 0.03,
    slow: 0.1,
    stuck: 0.15,
  },
  {
    name: 'everything',
    events: { ...rebalances, ...brokers, ...processes },
    awaitsBetween: 25,
    maxEvents: 8,
    failure: 0.05,
    slow: 0.15,
    stuck: 0.02,
  },
];
