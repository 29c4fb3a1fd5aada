/** One line, as the documentation has it. */
export interface LogDefinition {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Always the same text: what varies is in the fields. */
  readonly message: string;
  readonly fields: readonly string[];
}

/** Which line. */
export type LogKey =
  | 'state'
  | 'assigned'
  | 'revoked'
  | 'lost'
  | 'retried'
  | 'skipped'
  | 'deadLettered'
  | 'frozen'
  | 'stopped'
  | 'deadLetterFailed'
  | 'unfrozen'
  | 'stuck'
  | 'committed'
  | 'commitFailed'
  | 'error'
  | 'leftOut';

const record = ['topic', 'partition', 'offset', 'keyHash'] as const;
/** Of the record's span: there where it is traced. */
const trace = ['traceId', 'spanId'] as const;
/** `records` are so many as the decision holds for: more than one where a batch failed as a whole, of which the line names the first. */
const failure = [...record, 'attempt', 'records', 'error', ...trace] as const;

/** Every line that `logging()` writes of itself; each also has `worker`. */
export const logTable: Readonly<Record<LogKey, LogDefinition>> = {
  state: { level: 'info', message: 'worker changes state', fields: ['from', 'to'] },
  assigned: { level: 'info', message: 'partitions assigned', fields: ['partitions'] },
  revoked: { level: 'info', message: 'partitions revoked', fields: ['partitions', 'drainedMs'] },
  lost: { level: 'warn', message: 'partitions lost', fields: ['partitions'] },
  retried: { level: 'warn', message: 'handler failed, record is tried again', fields: [...failure, 'afterMs'] },
  skipped: { level: 'error', message: 'handler failed, record is skipped', fields: failure },
  deadLettered: {
    level: 'error',
    message: 'handler failed, record goes to the dead letter topic',
    fields: [...failure, 'deadLetterTopic'],
  },
  frozen: {
    level: 'error',
    message: 'handler failed, record stands still with what is behind it',
    fields: [...failure, 'scope'],
  },
  stopped: { level: 'error', message: 'handler failed, worker ends', fields: failure },
  deadLetterFailed: {
    level: 'error',
    message: 'dead letter not written, tried again',
    fields: [...record, 'deadLetterTopic', 'failures', 'error', ...trace],
  },
  unfrozen: {
    level: 'info',
    message: 'goes on after it was frozen',
    fields: ['topic', 'partition', 'scope', 'skipped'],
  },
  stuck: {
    level: 'error',
    message: 'handler ignores its aborted signal',
    fields: ['topic', 'partition', 'offset', 'waitedMs', ...trace],
  },
  committed: { level: 'debug', message: 'offsets committed', fields: ['offsets', 'durationMs'] },
  commitFailed: { level: 'warn', message: 'commit failed', fields: ['offsets', 'error'] },
  error: { level: 'error', message: 'something went wrong', fields: ['error'] },
  leftOut: { level: 'warn', message: 'lines were left out until the end', fields: ['of', 'lines'] },
};
