import { types } from 'node:util';
import { InvalidOptionError } from '../errors.ts';
import type { ConnectOptions } from '../kafka-client.ts';

/** What the port's clients are given, looked at before anything native is made of it. */

/** Node's timers end at once beyond that. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** @throws InvalidOptionError */
export function checkClientOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw new InvalidOptionError('options', 'an object', options);
  const { clientId, logger, statistics } = options as { clientId?: unknown; logger?: unknown; statistics?: unknown };
  if (clientId !== undefined) nativeText('clientId', clientId);
  if (statistics !== undefined && typeof statistics !== 'function')
    throw new InvalidOptionError('statistics', 'a function', statistics);
  if (!isLogger(logger)) throw new InvalidOptionError('logger', 'a logger with debug, info, warn and error', logger);
}

/** @throws InvalidOptionError */
export function checkMemberOptions(options: unknown): void {
  checkClientOptions(options);
  const { groupId, groupInstanceId, groupProtocol } = options as Readonly<Record<string, unknown>>;
  nativeText('groupId', groupId);
  if (groupInstanceId !== undefined) nativeText('groupInstanceId', groupInstanceId);
  if (groupProtocol !== 'classic' && groupProtocol !== 'consumer')
    throw new InvalidOptionError('groupProtocol', "'classic' or 'consumer'", groupProtocol);
}

/** The broker's default for `transaction.max.timeout.ms`, and the least that librdkafka takes. */
const MAX_TRANSACTION_MS = 900_000;
const MIN_TRANSACTION_MS = 1_000;

/** @throws InvalidOptionError */
export function checkTransactionalOptions(options: unknown): void {
  checkClientOptions(options);
  const { transactionalId, transactionTimeoutMs, tellsEach } = options as Readonly<Record<string, unknown>>;
  nativeText('transactionalId', transactionalId);
  if (tellsEach !== undefined && typeof tellsEach !== 'boolean')
    throw new InvalidOptionError('tellsEach', 'true or false', tellsEach);
  const isUsable =
    Number.isSafeInteger(transactionTimeoutMs) &&
    (transactionTimeoutMs as number) >= MIN_TRANSACTION_MS &&
    (transactionTimeoutMs as number) <= MAX_TRANSACTION_MS;
  if (!isUsable) {
    const expected = `milliseconds from ${MIN_TRANSACTION_MS} to ${MAX_TRANSACTION_MS}`;
    throw new InvalidOptionError('transactionTimeoutMs', expected, transactionTimeoutMs);
  }
}

/** @throws InvalidOptionError */
export function checkConnectOptions(options: unknown): ConnectOptions {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('options', '{ timeoutMs }', options);
  const { timeoutMs, signal } = options as { timeoutMs?: unknown; signal?: unknown };
  const checked = { timeoutMs: checkTimeout('options.timeoutMs', timeoutMs) };
  if (signal === undefined) return checked;
  if (typeof signal !== 'object' || signal === null || typeof (signal as AbortSignal).aborted !== 'boolean')
    throw new InvalidOptionError('options.signal', 'an AbortSignal', signal);
  return { ...checked, signal: signal as AbortSignal };
}

/** Milliseconds that a timer can wait. @throws InvalidOptionError */
export function checkTimeout(option: string, ms: unknown): number {
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0)
    throw new InvalidOptionError(option, 'milliseconds, 0 or more', ms);
  return Math.min(ms, MAX_TIMER_MS);
}

/** @throws InvalidOptionError */
export function nativeText(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '')
    throw new InvalidOptionError(option, 'a string that is not empty', value);
  // It would cut the text short on its way into the native client.
  if (value.includes('\0')) throw new InvalidOptionError(option, 'a string without NUL', value);
  return value;
}

/** What only looks like a Buffer, by its prototype, has no bytes. */
export function isBytes(value: unknown): value is Buffer {
  return Buffer.isBuffer(value) && types.isUint8Array(value);
}

function isLogger(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const logger = value as Readonly<Record<string, unknown>>;
  return ['debug', 'info', 'warn', 'error'].every((level) => typeof logger[level] === 'function');
}
