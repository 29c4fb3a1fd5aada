import { describe, expect, it } from '@jest/globals';
import { UsageError } from '../../scripts/command-line.ts';
import { parseExampleArguments } from './example-arguments.ts';

describe('parseExampleArguments', () => {
  it('takes the number of an example alone', () => {
    expect(parseExampleArguments(['1'])).toEqual({ example: '01', fail: [], json: false });
  });

  it('takes every option', () => {
    const argv = ['01', '--kafka', '127.0.0.1:9092', '--topic', 't', '--group', 'g', '--fail', '0:17', '--fail', '2:0'];
    expect(parseExampleArguments([...argv, '--trace', 'trace.jsonl', '--json'])).toEqual({
      example: '01',
      kafka: '127.0.0.1:9092',
      topic: 't',
      group: 'g',
      fail: [
        { partition: 0, offset: 17 },
        { partition: 2, offset: 0 },
      ],
      trace: 'trace.jsonl',
      json: true,
    });
  });

  it('takes --crash', () => {
    expect(parseExampleArguments(['02', '--crash'])).toEqual({ example: '02', fail: [], crash: true, json: false });
  });

  it('takes --board, which runs on and so has no figures to end with', () => {
    expect(parseExampleArguments(['01', '--board'])).toEqual({ example: '01', fail: [], board: true, json: false });
    expect(() => parseExampleArguments(['01', '--board', '--json'])).toThrow('leave one of them out');
  });

  it('takes what example 10 knows', () => {
    const given = { example: '10', fail: [], json: false };
    expect(parseExampleArguments(['10', '--mode', 'kafka'])).toEqual({ ...given, mode: 'kafka' });
    expect(parseExampleArguments(['10', '--data', './bank'])).toEqual({ ...given, data: './bank' });
    const postgres = 'postgres://user:password@127.0.0.1:5432/database';
    const argv = ['10', '--mode', 'database', '--postgres', postgres];
    expect(parseExampleArguments(argv)).toEqual({ ...given, mode: 'database', postgres });
  });

  it('does not repeat what should have been the URL of a database: it may have a password', () => {
    const parse = () => parseExampleArguments(['10', '--postgres', 'user:secret@127.0.0.1']);
    expect(parse).toThrow('--postgres: expected a URL, such as postgres://user:password@127.0.0.1:5432/database');
    expect(parse).not.toThrow('secret');
  });

  it.each(['localhost:9092', '[::1]:9092', 'a:1,b.example:2'])('takes the brokers %s', (kafka) => {
    expect(parseExampleArguments(['01', '--kafka', kafka]).kafka).toBe(kafka);
  });

  it.each([
    [[], 'which example?'],
    [['one'], 'expected the number of an example, received "one"'],
    [['01', '02'], 'expected one example, received also "02"'],
    [
      ['01', '--kafka', 'localhost'],
      '--kafka: expected HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:9092, received "localhost"',
    ],
    [['01', '--kafka', '127.0.0.1:70000'], '--kafka: expected HOST:PORT'],
    [['01', '--kafka', 'a:0'], '--kafka: expected HOST:PORT'],
    [['01', '--fail', '0:9007199254740993'], '--fail: no record has the place "0:9007199254740993"'],
    [['01', '--kafka', 'a:1,'], '--kafka: expected HOST:PORT'],
    [['01', '--fail', '17'], '--fail: expected PARTITION:OFFSET, such as 0:17, received "17"'],
    [['01', '--fail', '0:-1'], '--fail: expected PARTITION:OFFSET'],
    [['10', '--mode', 'both'], '--mode: expected database or kafka, received "both"'],
    [['10', '--mode', 'kafka', '--data', 'd'], '--mode kafka needs no database: leave --data out'],
    [['10', '--mode', 'kafka', '--postgres', 'postgres://h/d'], 'leave --postgres out'],
    [['10', '--data', 'd', '--postgres', 'postgres://h/d'], '--postgres and --data: one of them says'],
    [['01', '--topic', ''], '--topic: expected a name'],
    [['01', '--topic'], 'argument missing'],
    [['01', '--nonsense'], "Unknown option '--nonsense'; it knows --kafka"],
  ])('refuses %j with what was expected', (argv, message) => {
    expect(() => parseExampleArguments(argv)).toThrow(UsageError);
    expect(() => parseExampleArguments(argv)).toThrow(message);
    expect(() => parseExampleArguments(argv)).toThrow('usage: npm run example');
  });

  it('refuses what npm took for its own because no -- stands before it', () => {
    const parse = () => parseExampleArguments(['11'], { npm_config_fail: '0:17' });
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow('npm took --fail for its own: put -- before the options');
  });
});
