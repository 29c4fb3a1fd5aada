import { describe, expect, it } from '@jest/globals';
import { parseRedriveArguments } from './redrive-arguments.ts';
import { UsageError } from './usage-error.ts';

const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');

describe('the arguments of kafka-worker redrive', () => {
  it('are read', () => {
    const line =
      '--kafka a:1,b:2 --config c.json --from orders.dead --to orders --limit 10 --rate 2.5 --dry-run --group g';
    expect(parseRedriveArguments(words(line))).toEqual({
      ...{ brokers: ['a:1', 'b:2'], configFile: 'c.json', from: 'orders.dead', to: 'orders' },
      ...{ limit: 10, perSecond: 2.5, dryRun: true, groupId: 'g' },
    });
    expect(parseRedriveArguments(words('--kafka=a:1 --from=t'))).toEqual({
      ...{ brokers: ['a:1'], configFile: undefined, from: 't', to: undefined },
      ...{ limit: undefined, perSecond: undefined, dryRun: false, groupId: undefined },
    });
    expect(parseRedriveArguments(words('--from t --help'))).toBe('help');
  });

  it.each([
    ['', '--from is missing'],
    ['--from t', '--kafka HOST:PORT is missing'],
    ['--kafka a:1', '--from is missing'],
    ['--kafka a:1 --from', "Option '--from <value>' argument missing"],
    ['--kafka a:1 --from --to x', "Option '--from' argument is ambiguous"],
    ['--kafka a:1 --from t --frm t', "Unknown option '--frm'"],
    ['--kafka a:1 --from t -n', "Unknown option '-n'"],
    ['--kafka a:1 --from t orders', "Unexpected argument 'orders'"],
    ['--kafka a:1 --from t --from u', '--from is given twice'],
    ['--kafka a:1 --from t --limit 0', '--limit: expected a whole number, at least 1, received "0"'],
    ['--kafka a:1 --from t --limit 1e3', '--limit: expected a whole number'],
    ['--kafka a:1 --from t --limit=-1', '--limit: expected a whole number'],
    ['--kafka a:1 --from t --rate 0.0', '--rate: expected a number above 0'],
    ['--kafka a:1 --from t --rate fast', '--rate: expected a number above 0'],
    ['--kafka a:1 --from t --dry-run=no', "Option '--dry-run' does not take an argument"],
  ])('are refused with what there is: %s', (line, message) => {
    const parse = (): unknown => parseRedriveArguments(words(line));
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(message);
    expect(parse).toThrow('it knows --kafka, --config, --from, --to, --limit, --rate, --dry-run, --group, --help');
  });
});
