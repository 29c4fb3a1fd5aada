import { AuthorizationError } from '../errors.ts';
import type { NativeConsumer } from './native-client.ts';
import type { RawClient } from './raw-client.ts';
import { isTopicRefusal, topicRefused } from './refusals.ts';

const PROBE_MS = 10_000;

/**
 * Kafka hides a topic from whoever may not describe it. Its metadata says so by a code, which the native client drops; asked for committed
 * offsets the broker says it again, and that answer has a text.
 *
 * @throws AuthorizationError when one of these topics is hidden, not when it does not exist; ClientError or ConnectionError without an answer
 * in 10 s: a topic that may be hidden is not called unknown
 */
export async function checkNotHidden(raw: RawClient<NativeConsumer>, topics: readonly string[]): Promise<void> {
  if (topics.length === 0) return;
  const asked = topics.map((topic) => ({ topic, partition: 0 }));
  const what = `topic ${topics.map((topic) => JSON.stringify(topic)).join(', ')}: not to be seen, and whether it is hidden cannot be learned`;
  const answer = await raw.call<unknown[]>(what, PROBE_MS, (native, done) => native.committed(asked, PROBE_MS, done));
  for (const [i, topic] of topics.entries()) {
    const reason = (answer[i] as { message?: string } | undefined)?.message;
    if (reason !== undefined && isTopicRefusal(reason)) throw topicRefused('DESCRIBE', [topic], answer[i]);
  }
}

/** The same where there is an error already, which stays the one to tell of when nothing better is learned. */
export async function refusalOf(
  raw: RawClient<NativeConsumer>,
  topics: readonly string[],
): Promise<AuthorizationError | undefined> {
  try {
    await checkNotHidden(raw, topics);
  } catch (error) {
    if (error instanceof AuthorizationError) return error;
  }
  return undefined;
}
