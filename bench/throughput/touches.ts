import type { KafkaRecord } from '@kafka-worker/core';
import type { Touch } from './contestant.ts';

/** What was read, so that nobody can leave the reading out. */
export interface Tally {
  bytes: number;
}

type MakeHandler = (done: () => void) => (record: KafkaRecord) => unknown;

/** The handler of a worker that does this with each record. */
export function handlerFor(touch: Touch, tally: Tally): MakeHandler {
  const read = ({ key, value }: KafkaRecord): void => {
    tally.bytes += (key?.length ?? 0) + (value?.length ?? 0);
  };
  const handlers: Readonly<Record<Touch, MakeHandler>> = {
    reads: (done) => (record) => {
      read(record);
      done();
    },
    'reads async': (done) => async (record) => {
      read(record);
      done();
    },
    'reads headers': (done) => (record) => {
      read(record);
      for (const [name, value] of record.headers) tally.bytes += name.length + (value?.length ?? 0);
      done();
    },
    nothing: (done) => () => {
      tally.bytes++;
      done();
    },
  };
  return handlers[touch];
}
