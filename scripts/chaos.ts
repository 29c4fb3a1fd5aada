// npm run chaos -- [--seconds N] [--seed N] [--protocol classic|consumer|both] [--reader librdkafka|direct] [--json]
// Workers come, leave and are killed, and brokers restart, while records flow. The last line of --json is the verdict.

import { runChaos } from '../bench/chaos/run-chaos.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import { readerNamed } from './proven-reader.ts';
import { tracedRun } from './traced-run.ts';
import { wholeNumber } from './whole-number.ts';

const usage =
  'npm run chaos -- [--seconds N] [--seed N] [--protocol classic|consumer|both] [--reader librdkafka|direct] [--json]';
const options = {
  seconds: { type: 'string', default: '300' },
  seed: { type: 'string', default: '1' },
  protocol: { type: 'string', default: 'both' },
  reader: { type: 'string', default: 'librdkafka' },
  json: { type: 'boolean', default: false },
} as const;
const groupProtocols = { classic: ['classic'], consumer: ['consumer'], both: ['classic', 'consumer'] } as const;

try {
  const { values } = readCommandLine({ usage, options }, process.argv.slice(2));
  const protocol = values.protocol as keyof typeof groupProtocols;
  if (!Object.hasOwn(groupProtocols, protocol))
    throw new UsageError(`--protocol is classic, consumer or both\nusage: ${usage}`);
  const seconds = wholeNumber('seconds', values.seconds, usage);
  const seed = wholeNumber('seed', values.seed, usage);
  const protocols = groupProtocols[protocol];
  const reader = readerNamed(values.reader, usage);
  await tracedRun({ name: 'chaos', told: { seed, protocols, reader }, asJson: values.json }, (given) =>
    runChaos({ ...given, seconds, seed, protocols, reader }),
  );
} catch (error) {
  reportFailure(error);
}
