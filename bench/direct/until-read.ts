import type { Member } from '../../packages/core/src/testing/cluster-under-test.ts';

const WAIT_MS = 120_000;
const POLL_MS = 100;
const MAX_RECORDS = 1_000;

/** Polls until it holds. @throws Error after two minutes: a broker that starts on a busy machine takes its time */
export async function untilRead(
  member: Member,
  what: string,
  holds: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS; !holds(); ) {
    signal.throwIfAborted();
    if (Date.now() > deadline) {
      const errors = member.errors.map(({ message }) => message).join('; ');
      throw new Error(`waited in vain until ${what}: ${member.records.length} records; errors ${errors}`);
    }
    await member.poll(MAX_RECORDS, POLL_MS);
  }
}
