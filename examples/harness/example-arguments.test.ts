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

  it.each([
    [['05', '--trace-otlp'], 'http://127.0.0.1:4318'],
    [['--trace-otlp', '05'], 'http://127.0.0.1:4318'],
    [['05', '--trace-otlp', '--json'], 'http://127.0.0.1:4318'],
    [['05', '--trace-otlp', 'https://traces.example/x'], 'https://traces.example/x'],
    [['--trace-otlp=http://[::1]:4318', '05'], 'http://[::1]:4318'],
  ])('takes --trace-otlp with a URL or without one: %j', (argv, traceOtlp) => {
    expect(parseExampleArguments(argv, {})).toMatchObject({ example: '05', traceOtlp });
  });

  it('takes a collector from OTEL_EXPORTER_OTLP_ENDPOINT where spans were asked for, or are what the example is about', () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
    const collectorOf = (...argv: string[]) => parseExampleArguments(argv, env).traceOtlp;
    expect(collectorOf('05', '--trace-otlp')).toBe('http://collector:4318');
    expect(collectorOf('05', '--trace-otlp', 'http://other:4318')).toBe('http://other:4318');
    expect([collectorOf('06'), collectorOf('07')]).toEqual(['http://collector:4318', 'http://collector:4318']);
    expect(collectorOf('05')).toBeUndefined();
  });

  it('takes a port for the metrics of those that have them', () => {
    expect(parseExampleArguments(['7', '--metrics-port', '9464'], {})).toMatchObject({ metricsPort: 9464 });
    expect(parseExampleArguments(['06', '--metrics-port', '0'], {})).toMatchObject({ metricsPort: 0 });
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
    [['01', '--mode', 'kafka'], 'example 01 has no --mode: example 10 has'],
    [['01', '--metrics-port', '9464'], 'example 01 has no --metrics-port: examples 06 and 07 have'],
    [['06', '--metrics-port', '70000'], '--metrics-port: expected a port from 0 to 65535, such as 9464'],
    [['06', '--metrics-port', 'x'], '--metrics-port: expected a port'],
    [['01', '--trace-otlp', 'localhost:4318'], '--trace-otlp, or OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL, such as'],
    [['01', '--trace-otlp', 'ftp://h'], 'received "ftp://h"'],
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
