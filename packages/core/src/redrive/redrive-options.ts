import { type Clock, systemClock } from '../clock.ts';
import { InvalidOptionError } from '../errors.ts';
import type { KafkaCluster } from '../kafka-client.ts';
import { type Logger, stderrLogger } from '../logger.ts';
import { atLeastOne, check, has, isTopicName, nonEmptyString, optional, positiveInteger } from '../option-checks.ts';
import type { KafkaRecord, OutgoingRecord } from '../record.ts';

/** How to send dead letters back. Start with `kafka` and `from`; try with `dryRun` first. */
export interface RedriveOptions {
  readonly kafka: KafkaCluster;
  /** The topic that has the dead letters. */
  readonly from: string;
  /** Where all of them go. @defaultValue each to the topic that it came from, which its headers tell */
  readonly to?: string;
  /** So many dead letters at most. @defaultValue all that the topic has when it starts */
  readonly limit?: number;
  /** So many are written in a second at most, evenly spread. @defaultValue as fast as it goes */
  readonly perSecond?: number;
  /** Only counts what would go where: nothing is written, nothing is committed, and the group is not joined. @defaultValue false */
  readonly dryRun?: boolean;
  /** Remembers, by its committed offsets, what has been sent. @defaultValue `kafka-worker.redrive.` and the name of `from` */
  readonly groupId?: string;
  /** Writes that wait for the broker's acknowledgement at once. @defaultValue 100 */
  readonly concurrency?: number;
  /** Aborted, it ends in order: what is being written is awaited, and committed. */
  readonly signal?: AbortSignal;
  /** Called whenever one was sent, or progress was committed. */
  readonly onProgress?: (progress: RedriveProgress) => void;
  /** Called for each one that was acknowledged; in a dry run for each that would be sent. The record is valid during the call. */
  readonly onSent?: (message: OutgoingRecord, record: KafkaRecord) => void;
  /** How long it tries to reach a broker, in milliseconds. @defaultValue 30_000 */
  readonly connectTimeoutMs?: number;
  /** @defaultValue warnings and errors, to stderr */
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** How far a redrive is. */
export interface RedriveProgress {
  /** Acknowledged by the broker; in a dry run, counted. */
  readonly sent: number;
  /** Offsets that there were to go through when it started: the number of dead letters, or above it where the log has gaps. */
  readonly total: number;
  /** Those of them that the group has not committed yet. */
  readonly left: number;
}

/** What a redrive did. */
export interface RedriveSummary extends RedriveProgress {
  /** How many went to each topic. */
  readonly targets: Readonly<Record<string, number>>;
  /** Everything that the topic had when it started is sent (`'end'`), `limit` is reached, or the signal was aborted. */
  readonly endedBy: 'end' | 'limit' | 'signal';
}

/** Options with every default in place. */
export interface ResolvedRedriveOptions {
  readonly kafka: KafkaCluster;
  readonly from: string;
  readonly to: string | undefined;
  readonly limit: number;
  readonly perSecond: number | undefined;
  readonly dryRun: boolean;
  readonly groupId: string;
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: RedriveProgress) => void;
  readonly onSent: (message: OutgoingRecord, record: KafkaRecord) => void;
  readonly connectTimeoutMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
}

const knownOptions: readonly string[] = [
  ...['kafka', 'from', 'to', 'limit', 'perSecond', 'dryRun', 'groupId', 'concurrency', 'signal'],
  ...['onProgress', 'onSent', 'connectTimeoutMs', 'logger', 'clock'],
];

/** @throws InvalidOptionError naming the option, what was expected and what came */
export function resolveRedriveOptions(options: RedriveOptions): ResolvedRedriveOptions {
  check('options', options, 'an object', (v) => typeof v === 'object' && v !== null);
  for (const [name, value] of Object.entries(options)) {
    if (knownOptions.includes(name)) continue;
    throw new InvalidOptionError(name, `no option of that name (there are ${knownOptions.join(', ')})`, value);
  }
  const { kafka, from, to, signal, logger, clock } = options;
  check('kafka', kafka, "a cluster, such as confluentKafka({ brokers: ['localhost:9092'] })", has('consumer'));
  topic('from', from);
  optional('to', to, topic);
  if (to === from) throw new InvalidOptionError('to', 'another topic than from', to);
  optional('limit', options.limit, positiveInteger);
  optional('perSecond', options.perSecond, (option, value) => {
    check(option, value, 'a number above 0', (v) => Number.isFinite(v) && (v as number) > 0);
  });
  optional('dryRun', options.dryRun, (option, value) => {
    check(option, value, 'true or false', (v) => typeof v === 'boolean');
  });
  optional('groupId', options.groupId, nonEmptyString);
  optional('concurrency', options.concurrency, positiveInteger);
  optional('signal', signal, (option, value) => check(option, value, 'an AbortSignal', has('aborted')));
  optional('onProgress', options.onProgress, aFunction);
  optional('onSent', options.onSent, aFunction);
  optional('connectTimeoutMs', options.connectTimeoutMs, atLeastOne);
  optional('logger', logger, (option, value) => {
    check(option, value, 'an object with debug, info, warn and error', has('debug', 'info', 'warn', 'error'));
  });
  optional('clock', clock, (option, value) => {
    check(option, value, 'an object with now and setTimeout', has('now', 'setTimeout'));
  });
  return {
    ...{ kafka, from, to, signal },
    limit: options.limit ?? Number.POSITIVE_INFINITY,
    perSecond: options.perSecond,
    dryRun: options.dryRun ?? false,
    groupId: options.groupId ?? `kafka-worker.redrive.${from}`,
    concurrency: options.concurrency ?? 100,
    onProgress: options.onProgress ?? (() => {}),
    onSent: options.onSent ?? (() => {}),
    connectTimeoutMs: options.connectTimeoutMs ?? 30_000,
    logger: logger ?? stderrLogger,
    clock: clock ?? systemClock,
  };
}

function topic(option: string, value: unknown): void {
  check(option, value, 'a topic name (1 to 249 of A-Z a-z 0-9 . _ -)', isTopicName);
}

function aFunction(option: string, value: unknown): void {
  check(option, value, 'a function', (v) => typeof v === 'function');
}
