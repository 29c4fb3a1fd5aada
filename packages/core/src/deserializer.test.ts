import { describe, expect, it } from '@jest/globals';
import { expectTypeOf } from 'expect-type';
import { DecodedRecord } from './decoded-record.ts';
import { type Deserializer, json, type StandardSchema, string } from './deserializer.ts';
import { DeserializationError } from './handler-errors.ts';
import { noHeaders, OwnedRecord } from './record.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const received = (key: string | null, value: string | null): OwnedRecord =>
  new OwnedRecord('t', 3, 7, 0, key === null ? null : bytes(key), value === null ? null : bytes(value), noHeaders);
const record = received(null, null);

function schema<Output>(validate: (value: unknown) => unknown): StandardSchema<Output> {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

describe('json', () => {
  it.each([
    ['{"n":1}', { n: 1 }],
    ['[1,"ü"]', [1, 'ü']],
    ['null', null],
    ['"text"', 'text'],
  ])('reads %s', (text, value) => {
    expect(json().deserialize(bytes(text), record)).toEqual(value);
  });

  it.each(['', '{', 'undefined', "{'n':1}"])('refuses what is no JSON: %j', (text) => {
    expect(() => json().deserialize(bytes(text), record)).toThrow(SyntaxError);
  });

  it('refuses null, and says how to take it; takes it where that is said', () => {
    expect(() => json().deserialize(null, record)).toThrow('nullable: true');
    expect(json(undefined, { nullable: true }).deserialize(null, record)).toBeNull();
  });

  it('gives what the schema makes of the value, and every issue with its path when it refuses', () => {
    const doubled = schema<number>((value) => ({ value: (value as number) * 2 }));
    expect(json(doubled).deserialize(bytes('21'), record)).toBe(42);
    const strict = schema<never>(() => ({
      issues: [{ message: 'too short', path: ['items', { key: 0 }, 'name'] }, { message: 'wrong' }],
    }));
    expect(() => json(strict).deserialize(bytes('{}'), record)).toThrow('items.0.name: too short; wrong');
  });

  it.each([
    ['a promise', () => Promise.resolve({ value: 1 })],
    ['a promise that rejects', () => Promise.reject(new Error('later'))],
    ['any other thenable', () => ({ then: (resolve?: (result: object) => void) => resolve?.({ value: 1 }) })],
  ])('refuses a schema that answers with %s', (_name, validate) => {
    expect(() => json(schema(validate)).deserialize(bytes('1'), record)).toThrow('asynchronously');
  });

  it('has the type that the schema or the caller says', () => {
    const order = schema<{ id: string }>((value) => ({ value }));
    expectTypeOf(json(order)).toEqualTypeOf<Deserializer<{ id: string }>>();
    expectTypeOf(json(order, { nullable: true })).toEqualTypeOf<Deserializer<{ id: string } | null>>();
    expectTypeOf(json<{ n: number }>()).toEqualTypeOf<Deserializer<{ n: number }>>();
    expectTypeOf(json()).toEqualTypeOf<Deserializer<unknown>>();
    expectTypeOf(string()).toEqualTypeOf<Deserializer<string | null>>();
  });
});

describe('string', () => {
  it('reads UTF-8, and tells null from empty', () => {
    const read = (given: Buffer | null): string | null => string().deserialize(given, record);
    expect([read(bytes('grün')), read(Buffer.alloc(0)), read(null)]).toEqual(['grün', '', null]);
  });
});

describe('DecodedRecord', () => {
  /** A deserializer that counts how often it is asked. */
  function counting(): Deserializer<string> & { asked: number } {
    const one = {
      asked: 0,
      deserialize: (given: Buffer | null): string => {
        one.asked++;
        if (String(given) === 'broken') throw new Error('bad bytes');
        return `decoded ${given}`;
      },
    };
    return one;
  }

  it('decodes key and value when they are first read, once each, and leaves what nobody reads', () => {
    const [key, value] = [counting(), counting()];
    const decoded = new DecodedRecord(received('k', 'v'), key, value);
    expect([key.asked, value.asked]).toEqual([0, 0]);
    expect([decoded.value, decoded.value]).toEqual(['decoded v', 'decoded v']);
    expect([key.asked, value.asked]).toEqual([0, 1]);
    expect(decoded.key).toBe('decoded k');
  });

  it('keeps a decoded undefined or null, which is no reason to decode again', () => {
    let asked = 0;
    const nothing: Deserializer<undefined> = {
      deserialize: () => {
        asked++;
        return undefined;
      },
    };
    const decoded = new DecodedRecord(received('k', 'v'), undefined, nothing);
    expect([decoded.value, decoded.value, asked]).toEqual([undefined, undefined, 1]);
  });

  it('gives the bytes as they are without a deserializer, and everything else of the record', () => {
    const one = received('k', 'v');
    const decoded = new DecodedRecord(one, undefined, counting());
    expect(decoded.key).toBe(one.key);
    expect(decoded).toMatchObject({ topic: 't', partition: 3, offset: 7, timestamp: 0, headers: noHeaders });
  });

  it.each(['key', 'value'] as const)('names the record and the part when its %s cannot be decoded', (part) => {
    const decoded = new DecodedRecord(received('broken', 'broken'), counting(), counting());
    const read = (): unknown => decoded[part];
    expect(read).toThrow(DeserializationError);
    expect(read).toThrow(expect.objectContaining({ topic: 't', partition: 3, offset: 7, part, retriable: false }));
    expect(read).toThrow('bad bytes');
  });

  it('is written as JSON with its bytes as text, also where they cannot be decoded', () => {
    const decoded = new DecodedRecord(received('k', 'broken'), counting(), counting());
    expect(JSON.parse(JSON.stringify(decoded))).toMatchObject({ key: 'k', value: 'broken', offset: 7 });
  });

  it('copies to one that owns its bytes and still decodes on first use', () => {
    const one = received('k', 'v');
    const value = counting();
    const copy = new DecodedRecord(one, undefined, value).copy();
    one.value?.fill('x');
    expect([value.asked, copy.value, String(copy.key)]).toEqual([0, 'decoded v', 'k']);
  });
});
