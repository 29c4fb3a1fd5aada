import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { stderrLogger } from './logger.ts';

describe('stderrLogger', () => {
  const lines: string[] = [];
  beforeEach(() => {
    lines.length = 0;
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
      lines.push(String(text));
      return true;
    });
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  const withoutTime = (): string[] => lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, ''));

  it('writes warnings and errors, a line each, and nothing else', () => {
    stderrLogger.debug('debug');
    stderrLogger.info('info');
    stderrLogger.warn('careful');
    stderrLogger.error('broken', { topic: 't', partition: 3 });
    expect(withoutTime()).toEqual(['warn careful\n', 'error broken {"topic":"t","partition":3}\n']);
  });

  it('writes an error with its name, message and cause, also where it lies deep', () => {
    const error = new RangeError('too far', { cause: new Error('the root') });
    stderrLogger.error('broken', { deep: { error } });
    expect(withoutTime()).toEqual([
      'error broken {"deep":{"error":{"name":"RangeError","message":"too far","cause":"the root"}}}\n',
    ]);
  });

  it('never throws, whatever the fields hold, and keeps to one line', () => {
    const cyclic: { itself?: object } = {};
    cyclic.itself = cyclic;
    const hostile = {
      get value(): never {
        throw new Error('no');
      },
    };
    stderrLogger.warn('one', cyclic);
    stderrLogger.warn('two', hostile);
    stderrLogger.warn('three', { big: 10n, missing: undefined, text: 'a\nb' });
    expect(withoutTime()).toEqual([
      'warn one (fields could not be written)\n',
      'warn two (fields could not be written)\n',
      'warn three {"big":"10","text":"a\\nb"}\n',
    ]);
  });
});
