import { UsageError } from './command-line.ts';

/** An option's number. @throws UsageError */
export function wholeNumber(name: string, text: string, usage: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number > 0) return number;
  throw new UsageError(`--${name} is a whole number from 1 on, not ${JSON.stringify(text)}\nusage: ${usage}`);
}
