import { describe, expect, it } from '@jest/globals';
import { readCommandLine, UsageError } from './command-line.ts';
import { scriptProcess } from './script-process.ts';

const secure = { secure: { type: 'boolean', default: false } } as const;

describe('the command line of a script', () => {
  it('refuses an option that the script does not know and lists those it knows', () => {
    const read = () => readCommandLine({ usage: 'npm run x', options: secure }, ['--secrue'], {});
    expect(read).toThrow(new UsageError("Unknown option '--secrue'; it knows --secure\nusage: npm run x"));
  });

  it('refuses a word where none is expected', () => {
    const read = () => readCommandLine({ usage: 'npm run x', options: secure }, ['secure'], {});
    expect(read).toThrow(/unexpected argument "secure"/);
  });

  it('refuses to run without an option that npm has taken for its own', () => {
    const read = () => readCommandLine({ usage: 'npm run x', options: secure }, [], { npm_config_secure: 'true' });
    expect(read).toThrow(/put -- before/);
  });

  it('reads what the script knows', () => {
    const given = { usage: 'npm run x', options: secure, positionals: true };
    expect(readCommandLine(given, ['--secure', 'a'], {})).toMatchObject({
      values: { secure: true },
      positionals: ['a'],
    });
  });
});

it.each([
  ['scripts/test.ts', '--without-real-kafak', '--without-real-kafka'],
  ['scripts/test.ts', 'example-99', 'there are example-01, '],
  ['scripts/kafka.ts start', '--borkers', '--brokers, --secure'],
  ['scripts/kafka.ts stop', '--brokers', '--directory'],
  ['scripts/kafka.ts statsu', '--directory', 'start [--brokers 1|3]'],
  ['scripts/prove.ts', '--json', 'it knows --reader'],
  ['scripts/prove.ts engine', '--reader=direct', 'engine takes no --reader'],
  ['scripts/prove.ts chaos', '--reader=kafkajs', '--reader is librdkafka or direct'],
  ['scripts/direct.ts', '--records=0', '--records is a whole number'],
  ['scripts/prove.ts', 'engin', 'engine, ledger'],
  ['scripts/sync-docs.ts', '--chekc', '--check'],
  ['bench/run.ts engine', '--jsn', '--json'],
  ['bench/run.ts engine', 'ledger', 'where NAME is one of'],
  ['examples/run.ts 01', '--kafak', '[--kafka HOST:PORT]'],
  ['examples/seed.ts', '--topics', '--topic TOPIC'],
])('%s refuses %s and says what it knows', async (script, typo, known) => {
  const { code, output } = await scriptProcess([...script.split(' '), typo]).ended;
  expect({ code, output }).toMatchObject({ code: 2, output: expect.stringContaining(known) });
});
