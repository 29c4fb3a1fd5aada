import { describe, expect, it } from '@jest/globals';
import { WriteMode } from './write-mode.ts';

describe('how messages are written', () => {
  it('is together, and each with its answer from a failure on, until a hundred transactions in a row have succeeded', () => {
    const mode = new WriteMode();
    expect(mode.tellsEach).toBe(false);
    mode.committed();
    mode.failed();
    for (let i = 0; i < 60; i++) mode.committed();
    expect(mode.tellsEach).toBe(true);
    mode.failed();
    for (let i = 0; i < 99; i++) mode.committed();
    expect(mode.tellsEach).toBe(true);
    mode.committed();
    expect(mode.tellsEach).toBe(false);
    mode.committed();
    expect(mode.tellsEach).toBe(false);
  });
});
