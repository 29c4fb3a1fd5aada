import { createHash } from 'node:crypto';
import {
  InvalidOptionError,
  type KafkaRecord,
  type Logger,
  type Plugin,
  type TopicPartition,
  type WorkerEvents,
} from '@kafka-worker/core';
import { type SpanContext, trace } from '@opentelemetry/api';
import { LogRate } from './log-rate.ts';
import { type LogKey, logTable } from './log-table.ts';
import { PluginHealth } from './plugin-health.ts';
import { redactedFields } from './redaction.ts';
import { type TracedRecords, tracedRecordsOf } from './traced-records.ts';

const WINDOW_MS = 60_000;
const HASH_LENGTH = 12;

/** Start with `logger`. */
export interface LoggingOptions {
  /** Where lines go: `winstonLogger(…)`, `pinoLogger(…)`, or anything with `debug`, `info`, `warn` and `error`. */
  readonly logger: Logger;
  /** Whether values, keys and headers of records may be written. @defaultValue `false`: they are `[redacted]`, and a record is known by a hash of its key */
  readonly showsValues?: boolean;
  /** So many warnings and errors of one message a minute; how many were left out stands in the next one as `suppressed`. @defaultValue 60 */
  readonly maxPerMinute?: number;
}

type AnyRecord = KafkaRecord<unknown, unknown>;
type Failed = Parameters<WorkerEvents['failed']>[0];

const failedLines: Readonly<Record<Failed['decision']['do'], LogKey>> = {
  retry: 'retried',
  skip: 'skipped',
  'dead-letter': 'deadLettered',
  freeze: 'frozen',
  stop: 'stopped',
};

/**
 * Lines of what happens to a worker and its records, by one table of constant messages, and a `context.log` in handlers that says which record it logs
 * for: topic, partition, offset, attempt, a hash of the key, and the trace that is active. One plugin is for one worker.
 *
 * A record's value, key and headers are not written, by whichever name they come, nor is what `JSON.parse` quotes of them; what a handler takes out of
 * them and logs is its own affair. One message cannot flood the log. A logger that throws fails no record.
 * @throws InvalidOptionError for options that are none
 */
export function logging(options: LoggingOptions): Plugin {
  checkOptions(options);
  const { logger, showsValues = false, maxPerMinute = 60 } = options;
  const rate = new LogRate(maxPerMinute, WINDOW_MS);
  const health = new PluginHealth('logging');
  let worker: string | undefined;
  let traced = (): TracedRecords | undefined => undefined;
  const write = (level: keyof Logger, message: string, fields: () => object): void => {
    const isLimited = level === 'warn' || level === 'error';
    const suppressed = isLimited ? rate.admit(message, Date.now()) : 0;
    if (suppressed === undefined) return;
    logger[level](message, { worker, ...fields(), ...(suppressed > 0 && { suppressed }) });
  };
  const line = (key: LogKey, fields: object): void =>
    write(logTable[key].level, logTable[key].message, () => redactedFields(fields, showsValues));
  return {
    name: 'logging',
    async start(started, host) {
      health.started(host);
      worker = started.name;
      // When it is wanted: who traces may be started later.
      traced = () => tracedRecordsOf(started);
    },
    logFor(record, _log, attempt) {
      const about = { ...placeOf(record), attempt };
      const level = (name: keyof Logger) => (message: string, fields?: object) => {
        try {
          write(name, message, () => ({
            ...{ ...about, ...traceOf(trace.getActiveSpan()?.spanContext()) },
            ...redactedFields(fields ?? {}, showsValues, (value) => isHeldBy(record, value)),
          }));
        } catch (error) {
          // What cannot be logged is no failure of the record.
          health.failed(error);
        }
      };
      return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
    },
    listeners: {
      state: ({ from, to }) => {
        // Before its start nobody knows which worker it is.
        if (worker === undefined) return;
        if (to === 'stopped' || to === 'failed')
          for (const [of, lines] of [...rate.suppressed()]) line('leftOut', { of, lines });
        line('state', { from, to });
      },
      assigned: ({ partitions }) => line('assigned', { partitions: partitions.map(nameOf) }),
      revoked: ({ partitions, lost, drainedMs }) =>
        lost
          ? line('lost', { partitions: partitions.map(nameOf) })
          : line('revoked', { partitions: partitions.map(nameOf), drainedMs }),
      failed: ({ record, records, error, attempt, decision }) =>
        line(failedLines[decision.do], {
          ...placeOf(record),
          ...{ attempt, records: records.length, error },
          ...traceOf(traced()?.spanContextOf(record)),
          ...(decision.do === 'retry' && { afterMs: decision.afterMs }),
          ...(decision.do === 'dead-letter' && { deadLetterTopic: decision.topic }),
          ...(decision.do === 'freeze' && { scope: decision.scope }),
        }),
      'dead-letter-failed': ({ record, topic, error, failures }) =>
        line('deadLetterFailed', {
          ...placeOf(record),
          ...{ deadLetterTopic: topic, failures, error },
          ...traceOf(traced()?.spanContextOf(record)),
        }),
      unfrozen: ({ topic, partition, scope, skipped }) => line('unfrozen', { topic, partition, scope, skipped }),
      stuck: ({ topic, partition, offset, waitedMs }) =>
        line('stuck', {
          ...{ topic, partition, offset, waitedMs },
          ...traceOf(traced()?.spanContextAt({ topic, partition, offset })),
        }),
      committed: ({ offsets, durationMs }) => line('committed', { offsets: offsets.map(offsetOf), durationMs }),
      'commit-failed': ({ offsets, error }) => line('commitFailed', { offsets: offsets.map(offsetOf), error }),
      error: ({ error }) => line('error', { error }),
    },
  };
}

/** Keys are compared by people over lines, and must not be read from them. */
function placeOf(record: AnyRecord): object {
  const { topic, partition, offset } = record;
  return { topic, partition, offset, keyHash: keyHashOf(record) };
}

function keyHashOf(record: AnyRecord): string | null {
  try {
    const { key } = record;
    if (key === null || key === undefined) return null;
    const bytes = Buffer.isBuffer(key) || typeof key === 'string' ? key : JSON.stringify(key);
    return createHash('sha256').update(bytes).digest('hex').slice(0, HASH_LENGTH);
  } catch {
    // A key that cannot be decoded, or has no text.
    return null;
  }
}

/** A decoded value has no name of its own. Figures are too common to be known again. */
function isHeldBy(record: AnyRecord, value: unknown): boolean {
  if (value === '' || (typeof value !== 'string' && typeof value !== 'object') || value === null) return false;
  try {
    return value === record.value || value === record.key;
  } catch {
    return false;
  }
}

function traceOf(span: SpanContext | undefined): object {
  return span === undefined ? {} : { traceId: span.traceId, spanId: span.spanId };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function offsetOf({ topic, partition, offset }: TopicPartition & { readonly offset: number }): string {
  return `${topic}/${partition}@${offset}`;
}

function checkOptions(options: LoggingOptions): void {
  const known = ['logger', 'showsValues', 'maxPerMinute'];
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('options', `an object with ${known.join(', ')}`, options);
  for (const [option, value] of Object.entries(options))
    if (!known.includes(option))
      throw new InvalidOptionError(option, `no option of that name (there is ${known.join(', ')})`, value);
  const { logger, showsValues, maxPerMinute } = options;
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    if (typeof logger?.[level] !== 'function')
      throw new InvalidOptionError('logger', 'an object with debug, info, warn and error', logger);
  if (showsValues !== undefined && typeof showsValues !== 'boolean')
    throw new InvalidOptionError('showsValues', 'true or false', showsValues);
  if (maxPerMinute !== undefined && (!Number.isSafeInteger(maxPerMinute) || maxPerMinute < 1))
    throw new InvalidOptionError('maxPerMinute', 'a whole number, at least 1', maxPerMinute);
}
