import { toError } from '../kafka-worker-error.ts';
import type { Done, NativeConsumer } from './native-client.ts';

/** Makes a call under the name of a group's member, as a consumer does it. */
export type AsMember = (run: (member: NativeConsumer, answered: Done) => void) => Promise<void>;

/**
 * Makes a native call of a producer that a consumer takes part in. `done` is told when the native call has answered, and at once when it was not made: a
 * consumer that waits no longer for the answer does not end the call, and the producer must not be disconnected underneath it. The promise is the consumer's
 * answer: whether it was a member all the time.
 */
export function callWithMember(
  asMember: AsMember,
  call: (member: NativeConsumer, answered: Done) => void,
  done: Done,
): Promise<void> {
  let isUnderWay = false;
  const membership = asMember((member, answered) => {
    call(member, (error, value) => {
      answered(error, value);
      done(error, value);
    });
    isUnderWay = true;
  });
  membership.catch((thrown: unknown) => {
    if (!isUnderWay) done(toError(thrown), undefined);
  });
  return membership;
}
