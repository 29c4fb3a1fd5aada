import { describe, expect, it } from '@jest/globals';
import { CommitSize } from './commit-size.ts';

describe('how much one commit may write', () => {
  it('is half of what failed, again and again, down to one message', () => {
    const size = new CommitSize();
    const most = { messages: size.messages, bytes: size.bytes };
    size.failed(600);
    expect(size.messages).toBe(300);
    expect(size.bytes / most.bytes).toBeCloseTo(300 / most.messages);
    // What failed was less than allowed, for there was no more.
    size.failed(40);
    expect(size.messages).toBe(20);
    for (let i = 0; i < 10; i++) size.failed(size.messages);
    expect(size.messages).toBe(1);
    expect(size.bytes).toBeGreaterThan(0);
  });

  it('grows with each that succeeds, up to where it began', () => {
    const size = new CommitSize();
    const most = size.messages;
    size.failed(100);
    size.succeeded(50);
    expect(size.messages).toBe(100);
    for (let i = 0; i < 20; i++) size.succeeded(1);
    expect(size.messages).toBe(most);
  });

  it('is the same whatever becomes of a commit without messages', () => {
    const size = new CommitSize();
    size.failed(0);
    const most = size.messages;
    size.failed(8);
    size.succeeded(0);
    expect([most > 4, size.messages]).toEqual([true, 4]);
  });
});
