const FIRST_MS = 50;
const LONGEST_MS = 1_000;
const MAX_DOUBLINGS = 5;

/** How long to wait after so many failures in a row: twice as long each time, and never for all at the same moment. */
export function backoffMs(failures: number): number {
  const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, MAX_DOUBLINGS));
  return ms * (0.75 + Math.random() / 2);
}
