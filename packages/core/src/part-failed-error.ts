/** Records of a batch have failed alone, so that what the call did for the others is undone with it. Not for users: what failed is decided by itself. */
export class PartFailedError extends Error {
  override readonly name = 'PartFailedError';

  constructor(count: number) {
    super(`${count} records of the batch have failed: it is undone, and called again without them`);
  }
}
