import type { ConcurrencyStrategy, FailurePolicy } from '@kafka-worker/core';
import { InvalidOptionError } from '@kafka-worker/core';

/** Checks of option values; each throws `InvalidOptionError` with the option's path. */
export function checkConcurrency(option: string, value: number | 'unlimited'): number {
  if (value === 'unlimited') return Number.POSITIVE_INFINITY;
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidOptionError(option, "a whole number, at least 1, or 'unlimited'", value);
  }
  return value;
}

/** A misspelt option is silently no option, so it is refused. */
export function checkOptions(name: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError(name, `an object with ${known.join(', ')}`, options);
  }
  for (const [option, value] of Object.entries(options)) {
    if (known.includes(option)) continue;
    throw new InvalidOptionError(`${name}.${option}`, `no option of that name (there is ${known.join(', ')})`, value);
  }
}

/** What looks like options to somebody would silently be none, so it is refused. */
export function checkNoOptions(name: string, [given]: readonly unknown[]): void {
  if (given !== undefined) throw new InvalidOptionError(name, 'no options, for it takes none', given);
}

export function checkStrategy(option: string, value: ConcurrencyStrategy): void {
  if (value?.kind !== 'concurrency') {
    throw new InvalidOptionError(option, 'a concurrency strategy, such as perPartition()', value);
  }
}

export function checkPolicy(option: string, value: FailurePolicy): void {
  if (value?.kind !== 'failure')
    throw new InvalidOptionError(option, 'a failure policy, such as stop() or skip()', value);
}

export function checkBoolean(option: string, value: boolean | undefined): void {
  if (value !== undefined && typeof value !== 'boolean') throw new InvalidOptionError(option, 'true or false', value);
}

export function checkWhole(option: string, value: number | undefined, atLeast: number): void {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < atLeast)) {
    throw new InvalidOptionError(option, `a whole number, at least ${atLeast}`, value);
  }
}

export function checkRange(option: string, value: number | undefined, atLeast: number, atMost?: number): void {
  if (value === undefined) return;
  if (!Number.isFinite(value) || value < atLeast || (atMost !== undefined && value > atMost)) {
    const expected =
      atMost === undefined ? `a finite number, at least ${atLeast}` : `a number from ${atLeast} to ${atMost}`;
    throw new InvalidOptionError(option, expected, value);
  }
}

/** Text that may reach a native client. */
export function checkText(option: string, value: unknown): void {
  if (typeof value !== 'string' || value === '' || value.includes('\0'))
    throw new InvalidOptionError(option, 'a string that is not empty, without NUL', value);
}

/** Kafka's own rule for topic names. */
export function checkTopic(option: string, value: unknown): void {
  const isName = typeof value === 'string' && /^[A-Za-z0-9._-]{1,249}$/.test(value) && value !== '.' && value !== '..';
  if (!isName)
    throw new InvalidOptionError(option, 'a topic name (1 to 249 of A-Z a-z 0-9 . _ -), or a function', value);
}
