import { describe, expect, it } from '@jest/globals';
import { deadLetterHeaders as names } from '../dead-letter-message.ts';
import { HeaderList, OwnedRecord } from '../record.ts';
import { redriveMessage, redriveTarget } from './redrive-message.ts';

type Header = readonly [string, Buffer | null];

const header = (name: string, value: string): Header => [name, Buffer.from(value)];
const deadLetterSet = (topic: string, partition = '3'): Header[] => [
  ...[header(names.topic, topic), header(names.partition, partition), header(names.offset, '7')],
  ...[header(names.errorClass, 'TypeError'), header('dead-letter.of-a-later-version', 'x')],
];
const letter = (headers: readonly Header[], key: Buffer | null = null, value: Buffer | null = null): OwnedRecord =>
  new OwnedRecord('dead', 0, 5, 0, key, value, new HeaderList(headers));

describe('redriveTarget', () => {
  it('is where the dead letter came from, and its partition', () => {
    expect(redriveTarget(letter(deadLetterSet('orders')), undefined)).toEqual({ topic: 'orders', partition: 3 });
    expect(redriveTarget(letter(deadLetterSet('orders')), 'orders')).toEqual({ topic: 'orders', partition: 3 });
  });

  it('is the topic that is named, where the key decides about the partition', () => {
    expect(redriveTarget(letter(deadLetterSet('orders')), 'other')).toEqual({ topic: 'other', partition: undefined });
    expect(redriveTarget(letter([]), 'other')).toEqual({ topic: 'other', partition: undefined });
  });

  it.each(['-1', '1.5', 'x', '', '99999999999'])('takes %j for no partition', (partition) => {
    expect(redriveTarget(letter(deadLetterSet('orders', partition)), undefined).partition).toBeUndefined();
  });

  it('is where it came from last', () => {
    const twice = letter([...deadLetterSet('orders'), ...deadLetterSet('orders.dead', '0')]);
    expect(redriveTarget(twice, undefined)).toEqual({ topic: 'orders.dead', partition: 0 });
  });

  it('needs a name where the dead letter has none', () => {
    for (const headers of [[], deadLetterSet('no name'), [[names.topic, null]] as const]) {
      expect(() => redriveTarget(letter(headers), undefined)).toThrow('does not say where it came from');
    }
  });
});

describe('redriveMessage', () => {
  const bytes = Buffer.from([0, 255, 128, 10]);
  const original: Header[] = [
    ['trace', bytes],
    ['empty', Buffer.alloc(0)],
    ['null', null],
    ['trace', Buffer.from('b')],
  ];

  it.each<[string, Buffer | null]>([
    ['bytes', bytes],
    ['nothing', null],
    ['no bytes', Buffer.alloc(0)],
  ])('keeps key and value: %s', (_name, part) => {
    const { key, value } = redriveMessage(letter(deadLetterSet('orders'), part, part), 'orders', undefined);
    expect([key, value]).toEqual([part, part]);
  });

  it('keeps the headers of before, in their order, and says how often it was sent back', () => {
    const message = redriveMessage(letter([...original, ...deadLetterSet('orders')]), 'orders', 2);
    expect(message).toMatchObject({ topic: 'orders', partition: 2 });
    expect(message.headers).toEqual([...original, ['redrive.count', '1']]);
  });

  it.each([
    ['4', '5'],
    ['none', '1'],
    ['-3', '1'],
  ])('counts on from %s', (before, after) => {
    const again = letter([...original, header('redrive.count', before), ...deadLetterSet('orders')]);
    expect(redriveMessage(again, 'orders', undefined).headers).toEqual([...original, ['redrive.count', after]]);
  });

  it('takes nothing away that was there when it left its target', () => {
    const twice = letter([...original, ...deadLetterSet('orders'), ...deadLetterSet('orders.dead')]);
    expect(redriveMessage(twice, 'orders.dead', undefined).headers).toEqual([
      ...original,
      ...deadLetterSet('orders'),
      ['redrive.count', '1'],
    ]);
    for (const topic of ['orders', 'other']) {
      expect(redriveMessage(twice, topic, undefined).headers).toEqual([...original, ['redrive.count', '1']]);
    }
  });
});
