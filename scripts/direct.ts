// scripts/direct.ts [--records N] [--elections N] [--quick] [--json]: the direct reader while leaders move, brokers restart and die, replicas stand
// nearer than leaders, and a leader loses what others had. It starts three brokers of its own. --quick is a short run, which shows that it works. The
// last line of --json is the verdict.

import { runDirect } from '../bench/direct/run-direct.ts';
import { readCommandLine, reportFailure } from './command-line.ts';
import { tracedRun } from './traced-run.ts';
import { wholeNumber } from './whole-number.ts';

const usage = 'scripts/direct.ts [--records N] [--elections N] [--quick] [--json]';
const options = {
  records: { type: 'string' },
  elections: { type: 'string' },
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

try {
  const { values } = readCommandLine({ usage, options }, process.argv.slice(2));
  const usual = values.quick ? { records: '20000', elections: '8' } : { records: '1000000', elections: '60' };
  const records = wholeNumber('records', values.records ?? usual.records, usage);
  const elections = wholeNumber('elections', values.elections ?? usual.elections, usage);
  await tracedRun({ name: 'direct', told: { reader: 'direct' }, asJson: values.json }, (given) =>
    runDirect({ ...given, records, elections }),
  );
} catch (error) {
  reportFailure(error);
}
