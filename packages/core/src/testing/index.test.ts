import { describe, expect, it } from '@jest/globals';
import * as testing from './index.ts';

describe('@kafka-worker/core/testing', () => {
  it('exports two clusters and a clock', () => {
    expect(Object.keys(testing).sort()).toEqual(['VirtualClock', 'embeddedKafka', 'fakeKafka']);
  });
});
