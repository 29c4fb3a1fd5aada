import { describe, expect, it } from '@jest/globals';
import { CommitError, ConnectionError, InvalidOptionError, ProduceError, UnknownTopicError } from './errors.ts';
import { DeserializationError, HandlerError, RetriableError } from './handler-errors.ts';
import type * as base from './kafka-worker-error.ts';
import { isKafkaWorkerError, KafkaWorkerError, toError } from './kafka-worker-error.ts';
import { CorruptRecordError, LogTruncatedError, OffsetOutOfRangeError } from './log-errors.ts';

const position = { topic: 't', partition: 3, offset: 7 };

describe('isKafkaWorkerError', () => {
  it('knows every error of this library, and nothing else', () => {
    expect(isKafkaWorkerError(new ProduceError('t', 'no'))).toBe(true);
    const look = { name: 'KafkaWorkerError', code: 'POLL', retriable: true };
    for (const other of [new Error('no'), look, 'text', null, undefined, 7, () => {}])
      expect(isKafkaWorkerError(other)).toBe(false);
  });

  it('knows the errors of another copy of the package', async () => {
    const path = './kafka-worker-error.ts?another-copy';
    const copy = (await import(path)) as typeof base;
    const foreign = new copy.KafkaWorkerError('POLL', 'far away', { retriable: true });
    expect(foreign).not.toBeInstanceOf(KafkaWorkerError);
    expect([isKafkaWorkerError(foreign), copy.isKafkaWorkerError(new ProduceError('t', 'no'))]).toEqual([true, true]);
    expect(toError(foreign)).toBe(foreign);
  });
});

describe('an error of this library', () => {
  it('has the name of its class, a code, and keeps its cause; the brand is not among its fields', () => {
    const cause = new Error('root');
    const error = new ProduceError('t', 'not sent', { retriable: true, cause });
    expect(error).toMatchObject({
      name: 'ProduceError',
      code: 'PRODUCE',
      retriable: true,
      topic: 't',
      message: 'not sent',
    });
    expect(error.cause).toBe(cause);
    expect(Object.getOwnPropertySymbols(Object.assign({}, error))).toEqual([]);
    expect('cause' in new ProduceError('t', 'not sent')).toBe(false);
  });

  it('carries where it happened as fields, not only in its text', () => {
    expect(new HandlerError(position, 2, new Error('no'))).toMatchObject({ ...position, attempt: 2, code: 'HANDLER' });
    expect(new DeserializationError(position, 'key', 'bad')).toMatchObject({
      ...position,
      part: 'key',
      retriable: false,
    });
    expect(new OffsetOutOfRangeError(position, { earliest: 9, latest: 12 })).toMatchObject({
      ...position,
      earliest: 9,
      latest: 12,
    });
    expect(new LogTruncatedError(position, 4, 'lost')).toMatchObject({ ...position, divergesAt: 4, retriable: false });
    expect(new CorruptRecordError(position, 9, 'bad')).toMatchObject({ ...position, lastOffset: 9, retriable: false });
    expect(new UnknownTopicError(['a', 'b'])).toMatchObject({ topics: ['a', 'b'] });
    expect(new ConnectionError('no', { brokers: ['x:1'] })).toMatchObject({ brokers: ['x:1'], retriable: true });
    expect(new RetriableError('later', { retryAfterMs: 5 })).toMatchObject({ retryAfterMs: 5, retriable: true });
  });

  it('says what a person on call can act on', () => {
    const failure = { ...position, kafkaCode: 29, reason: 'not authorized' };
    expect(new CommitError([failure], { retriable: false }).message).toBe(
      'commit failed for t/3 at 7: not authorized (29)',
    );
    expect(new HandlerError(position, 1, 'text').message).toBe(
      't/3 offset 7 failed in its first attempt: a value that is not an Error was thrown: text',
    );
    expect(new HandlerError(position, 5, new Error('no')).message).toBe('t/3 offset 7 failed in attempt 5: no');
    expect(new HandlerError(position, 1, new DeserializationError(position, 'key', new Error('bad'))).message).toBe(
      't/3 offset 7 failed in its first attempt: its key cannot be decoded: bad',
    );
    expect(new LogTruncatedError(position, 4, 'lost').message).toMatch(/t\/3.*offset 7.*offset 4.*lost.*[Cc]ommit/);
    expect(new CorruptRecordError(position, 9, 'bad').message).toMatch(/t\/3.*7 to 9.*bad.*commit offset 10/);
    expect(new UnknownTopicError(['a b']).message).toContain('"a b"');
    expect(new OffsetOutOfRangeError(position, { earliest: 9, latest: 12 }).message).toMatch(
      /7.*9 to 12.*onOffsetOutOfRange/,
    );
  });
});

describe('toError', () => {
  it('gives an Error as it is, also one of a class of its own', () => {
    for (const error of [new Error('a'), new RangeError('b'), new ProduceError('t', 'c')])
      expect(toError(error)).toBe(error);
  });

  const cyclic: { itself?: object } = {};
  cyclic.itself = cyclic;
  it.each([
    ['text', 'text'],
    ['', ''],
    [undefined, 'undefined'],
    [null, 'null'],
    [0, '0'],
    [10n, '[object BigInt]'],
    [Symbol('s'), 'Symbol(s)'],
    [{ code: 5 }, '{"code":5}'],
    [cyclic, '[object Object]'],
    [Object.create(null), '{}'],
  ])('makes an Error with the value as its cause of %p', (thrown, text) => {
    const error = toError(thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe(`a value that is not an Error was thrown: ${text}`);
    expect(error.cause).toBe(thrown);
  });

  it('does so also of a value that cannot be written', () => {
    const hostile = {
      toJSON: () => {
        throw new Error('no');
      },
    };
    expect(toError(hostile)).toMatchObject({ message: expect.stringContaining('[object Object]'), cause: hostile });
  });
});

describe('InvalidOptionError', () => {
  class Custom {}
  it.each([
    ['text', '"text"'],
    ['', '""'],
    [-1, '-1'],
    [Number.NaN, 'NaN'],
    [10n, '10n'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [Symbol('s'), 'Symbol(s)'],
    [() => {}, 'a function'],
    [[], 'an empty array'],
    [[1, 2], 'an array of 2'],
    [{}, 'an object (Object)'],
    [new Custom(), 'an object (Custom)'],
    [Object.create(null), 'an object (no prototype)'],
  ])('names the option, what was expected, and what came: %p', (received, described) => {
    const error = new InvalidOptionError('commit.everyMs', 'a number', received);
    expect(error.message).toBe(`commit.everyMs: expected a number, received ${described}`);
    expect(error).toMatchObject({ option: 'commit.everyMs', code: 'INVALID_OPTION', retriable: false });
  });

  it('never shows what an object holds, which may be a secret', () => {
    expect(new InvalidOptionError('sasl', 'text', { password: 'hunter2' }).message).not.toContain('hunter2');
  });
});
