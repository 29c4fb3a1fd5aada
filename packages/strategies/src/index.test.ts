import { describe, expect, it } from '@jest/globals';
import * as strategies from './index.ts';

describe('@kafka-worker/strategies', () => {
  it('exports the three menus and nothing else', () => {
    expect(Object.keys(strategies).sort()).toEqual([
      ...['atLeastOnce', 'atMostOnce', 'deadLetter', 'exactlyOnce', 'exactlyOnceInDatabase', 'exactlyOnceMigration'],
      ...[
        'freezeKey',
        'freezePartition',
        'laneBy',
        'limited',
        'parallel',
        'perKey',
        'perPartition',
        'pglite',
        'postgres',
      ],
      ...['retry', 'serial', 'skip', 'stop'],
    ]);
  });
});
