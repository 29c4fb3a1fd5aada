import type { Ledger } from './ledger.ts';

/**
 * Where the gap ends that has to be closed before a partition is given back: records below it are waiting to be started while one above was started, or is
 * finished already and would be repeated. A record that waits for something else (a retry, a person) cannot be waited for: the gap ends at it.
 *
 * @returns the offset behind the last record that is worth finishing; the frontier if there is none
 */
export function gapEndOf(ledger: Ledger, queued: ReadonlySet<number>, running: ReadonlySet<number>): number {
  let end = ledger.finishedEnd;
  for (const offset of running) if (offset >= end) end = offset + 1;
  for (const offset of ledger.openOffsets()) {
    if (offset >= end) return end;
    if (!queued.has(offset) && !running.has(offset)) return offset;
  }
  return end;
}
