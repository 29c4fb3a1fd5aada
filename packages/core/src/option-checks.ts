import { InvalidOptionError } from './errors.ts';

/** Checks of single option values, each of which throws `InvalidOptionError` with the option's path. */
export function check(option: string, value: unknown, expected: string, isValid: (value: unknown) => boolean): void {
  if (!isValid(value)) throw new InvalidOptionError(option, expected, value);
}

export function optional(option: string, value: unknown, checkValue: (option: string, value: unknown) => void): void {
  if (value !== undefined) checkValue(option, value);
}

export function has(...members: readonly string[]): (value: unknown) => boolean {
  return (value) => typeof value === 'object' && value !== null && members.every((member) => member in value);
}

export function nonEmptyString(option: string, value: unknown): void {
  check(option, value, 'a string that is not empty', (v) => typeof v === 'string' && v !== '');
}

export function positiveInteger(option: string, value: unknown): void {
  check(option, value, 'a whole number, at least 1', (v) => Number.isSafeInteger(v) && (v as number) >= 1);
}

export function atLeastOne(option: string, value: unknown): void {
  check(option, value, 'a finite number, at least 1', (v) => Number.isFinite(v) && (v as number) >= 1);
}

export function nonNegative(option: string, value: unknown): void {
  check(option, value, 'a finite number, at least 0', (v) => Number.isFinite(v) && (v as number) >= 0);
}

export function oneOf(option: string, value: unknown, allowed: readonly string[], expected?: string): void {
  if (value === undefined) return;
  check(
    option,
    value,
    expected ?? allowed.map((a) => `'${a}'`).join(' or '),
    (v) => typeof v === 'string' && allowed.includes(v),
  );
}

/** Kafka's own rule for topic names. */
export function isTopicName(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9._-]{1,249}$/.test(value) && value !== '.' && value !== '..';
}

export function topicName(option: string, value: unknown): string {
  const expected = 'a topic name (1 to 249 of A-Z a-z 0-9 . _ -) or a RegExp';
  check(option, value, expected, isTopicName);
  return value as string;
}
