/** Whether it tells of something that passes by itself: a broker that is away, say. */
export function isPassing(error: Error): boolean {
  return 'retriable' in error && error.retriable === true;
}
