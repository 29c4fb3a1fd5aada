import { UsageError } from './command-line.ts';

/** Those with which a proof can be made. */
export const readers = ['librdkafka', 'direct'] as const;

/** Who fetches the workers' records. */
export type ProvenReader = (typeof readers)[number];

/** @throws UsageError */
export function readerNamed(name: string, usage: string): ProvenReader {
  const reader = readers.find((one) => one === name);
  if (reader !== undefined) return reader;
  throw new UsageError(`--reader is ${readers.join(' or ')}, not ${JSON.stringify(name)}\nusage: ${usage}`);
}
