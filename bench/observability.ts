import type { Bench } from './bench.ts';
import { perRecord } from './observability/per-record.ts';
import { waitingHandler } from './observability/waiting-handler.ts';
import { whatIsMeasured } from './observability/what-is-measured.ts';
import { runParts } from './part.ts';

export const observabilityBench: Bench = {
  name: 'observability',
  question: 'What do metrics, traces and logs cost, and what do they cost who has none? No broker.',
  run: (say, isQuick) => runParts([perRecord, waitingHandler, whatIsMeasured], { say, isQuick }),
};
