import { describe, expect, it } from '@jest/globals';
import { copyRecord, HeaderList, noHeaders, OwnedRecord, recordToJSON } from './record.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const headers = new HeaderList([
  ['a', bytes('1')],
  ['b', null],
  ['a', bytes('')],
]);
const full = (): OwnedRecord => new OwnedRecord('t', 2, 5, 1_700_000_000_000, bytes('key'), bytes('value'), headers);

describe('HeaderList', () => {
  it('keeps order and repeated names, and tells null, empty and missing apart', () => {
    expect([...headers].map(([name, value]) => [name, value?.toString()])).toEqual([
      ['a', '1'],
      ['b', undefined],
      ['a', ''],
    ]);
    expect(headers.getAll('a').map(String)).toEqual(['1', '']);
    expect([headers.get('a'), headers.get('b'), headers.get('c')]).toEqual([bytes(''), null, undefined]);
    expect([headers.getAll('b'), headers.getAll('c')]).toEqual([[null], []]);
  });
});

describe('OwnedRecord', () => {
  it('counts what it pins: key, value, headers, and an overhead, so that empty records count too', () => {
    const empty = new OwnedRecord('t', 0, 0, 0, null, null, noHeaders).sizeBytes;
    expect(empty).toBeGreaterThan(0);
    expect(full().sizeBytes).toBe(empty + 'key'.length + 'value'.length + 'a1'.length + 'b'.length + 'a'.length);
  });

  it('is written as JSON with bytes as text, null as null and headers in order', () => {
    expect(JSON.parse(JSON.stringify(full()))).toEqual({
      ...{ topic: 't', partition: 2, offset: 5, timestamp: 1_700_000_000_000, key: 'key', value: 'value' },
      headers: [
        ['a', '1'],
        ['b', null],
        ['a', ''],
      ],
    });
    const tombstone = new OwnedRecord('t', 0, 0, 0, Buffer.alloc(0), null, noHeaders);
    expect(recordToJSON(tombstone)).toMatchObject({ key: '', value: null, headers: [] });
  });
});

describe('copyRecord', () => {
  it('owns its bytes: what happens to those of the record does not reach it', () => {
    const record = full();
    const copy = copyRecord(record);
    record.key?.fill('x');
    record.value?.fill('x');
    expect(copy).toEqual(full());
    expect(copy.copy()).toEqual(copy);
  });

  it('reads getters once, and keeps null and empty apart', () => {
    const reads: string[] = [];
    const lazy = {
      ...{ topic: 't', partition: 0, offset: 1, timestamp: 2, toJSON: () => ({}), copy: () => copyRecord(full()) },
      get key() {
        reads.push('key');
        return Buffer.alloc(0);
      },
      get value() {
        reads.push('value');
        return null;
      },
      get headers() {
        reads.push('headers');
        return noHeaders;
      },
    };
    const copy = copyRecord(lazy);
    expect([copy.key, copy.value, copy.headers]).toEqual([Buffer.alloc(0), null, noHeaders]);
    expect(reads.sort()).toEqual(['headers', 'key', 'value']);
  });
});
