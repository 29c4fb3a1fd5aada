import { TransactionError } from '../errors.ts';
import type { GroupMember } from './group-member.ts';
import type { Done, NativeConsumer } from './native-client.ts';
import type { RawClient } from './raw-client.ts';

/** Kafka's code for a member that its group does not know. */
const UNKNOWN_MEMBER_ID = 25;

/** A native call that says who the member is. */
export interface CallAsMember {
  /** What fails, if it does. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly run: (native: NativeConsumer, done: Done) => void;
}

/**
 * Makes a native call that says who the member is, by its consumer's handle, which stays until it has answered. A client that has just been expelled
 * says that it is nobody, and brokers take offsets from nobody for any group: so it is looked at before whether it is a member, and afterwards
 * whether it has been all the time.
 * @throws TransactionError
 */
export async function asMember(
  member: GroupMember,
  raw: RawClient<NativeConsumer>,
  groupId: string,
  { what, timeoutMs, run }: CallAsMember,
): Promise<void> {
  const before = member.membership;
  if (before !== undefined) await raw.call<void>(what, timeoutMs, run);
  if (before !== undefined && member.membership === before) return;
  const message = `${what}: this consumer is no member of ${groupId}, or was not all the time`;
  throw new TransactionError('abortable', message, { kafkaCode: UNKNOWN_MEMBER_ID });
}
