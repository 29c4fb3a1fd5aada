import { InvalidOptionError } from '../errors.ts';

/** @throws InvalidOptionError */
export function checkCount(option: string, count: number, atLeast: number): void {
  if (!Number.isSafeInteger(count) || count < atLeast) {
    throw new InvalidOptionError(option, `a whole number from ${atLeast}`, count);
  }
}

/** @throws InvalidOptionError */
export function checkMs(option: string, ms: number): void {
  if (typeof ms !== 'number' || !(ms >= 0 && ms < Number.POSITIVE_INFINITY)) {
    throw new InvalidOptionError(option, 'milliseconds, 0 or more', ms);
  }
}
