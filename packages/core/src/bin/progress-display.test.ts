import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { ProgressDisplay, type ProgressStream } from './progress-display.ts';

function stream(isTTY: boolean): { readonly stream: ProgressStream; text(): string } {
  const through = new PassThrough();
  const terminal = { isTTY, columns: 80, cursorTo: () => true, clearLine: () => true, moveCursor: () => true };
  return { stream: Object.assign(through, terminal), text: () => String(through.read() ?? '') };
}

describe('the progress of a redrive', () => {
  it('is a bar on a terminal, which goes on also over what is no record, and ends with a line of its own', () => {
    const { stream: terminal, text } = stream(true);
    const display = new ProgressDisplay(terminal, undefined);
    display.update({ sent: 0, total: 200, left: 200 });
    display.update({ sent: 40, total: 200, left: 150 });
    display.end();
    expect(text()).toMatch(/0% \| 0 of 200.*25% \| 50 of 200.*\n/s);
  });

  it('goes up to the limit', () => {
    const { stream: terminal, text } = stream(true);
    const display = new ProgressDisplay(terminal, 40);
    display.update({ sent: 40, total: 200, left: 160 });
    display.end();
    expect(text()).toMatch('100% | 40 of 40');
  });

  it('is a line every few seconds elsewhere', () => {
    const { stream: file, text } = stream(false);
    let now = 0;
    const display = new ProgressDisplay(file, undefined, () => now);
    for (; now <= 12_000; now += 1_000) display.update({ sent: now, total: 20_000, left: 1 });
    display.end();
    expect(text()).toBe('sent 5000 of 20000 at most\nsent 10000 of 20000 at most\n');
  });

  it('is nothing where there is nothing to do', () => {
    for (const isTTY of [true, false]) {
      const { stream: any, text } = stream(isTTY);
      const display = new ProgressDisplay(any, undefined);
      display.update({ sent: 0, total: 0, left: 0 });
      display.end();
      expect(text()).toBe('');
    }
  });
});
