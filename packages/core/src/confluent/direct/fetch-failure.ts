/** What is to be done about Kafka's error code of a partition. */
export type FetchFailure =
  /** Its leader is another one, or another epoch: who, is in the metadata. */
  | 'ask who leads'
  /** It passes by itself. */
  | 'ask again'
  | 'out of range'
  | 'not authorized'
  /** The broker knows no topic of that id. */
  | 'unknown topic'
  /** The broker itself cannot read what it has. */
  | 'corrupt'
  | 'unknown';

const failures: Readonly<Record<number, FetchFailure>> = {
  1: 'out of range',
  2: 'corrupt',
  3: 'unknown topic',
  5: 'ask who leads',
  6: 'ask who leads',
  7: 'ask again',
  8: 'ask who leads',
  9: 'ask who leads',
  29: 'not authorized',
  56: 'ask who leads',
  74: 'ask who leads',
  75: 'ask who leads',
  76: 'unknown',
  78: 'ask again',
  100: 'unknown topic',
  103: 'unknown topic',
};

/** @see https://kafka.apache.org/protocol#protocol_error_codes */
export function fetchFailure(errorCode: number): FetchFailure {
  return failures[errorCode] ?? 'unknown';
}
