import { AuthorizationError } from '../errors.ts';
import type { NativeConsumer } from './native-client.ts';
import type { RawClient } from './raw-client.ts';
import { isTopicRefusal, topicRefused } from './refusals.ts';

/** Short: only what is missing anyway is asked about, and without an answer it stays missing. */
const PROBE_MS = 3_000;

/**
 * Kafka hides a topic from whoever may not describe it. Its metadata says so by a code, which the native client drops; asked for committed
 * offsets the broker says it again, and that answer has a text.
 *
 * @throws AuthorizationError when one of these topics is hidden, not when it does not exist
 */
export async function checkNotHidden(raw: RawClient<NativeConsumer>, topics: readonly string[]): Promise<void> {
  if (topics.length === 0) return;
  const asked = topics.map((topic) => ({ topic, partition: 0 }));
  let answer: readonly unknown[];
  try {
    answer = await raw.call<unknown[]>('rights cannot be looked up', PROBE_MS, (native, done) =>
      native.committed(asked, PROBE_MS, done),
    );
  } catch (error) {
    if (error instanceof AuthorizationError) throw error;
    return;
  }
  for (const [i, topic] of topics.entries()) {
    const reason = (answer[i] as { message?: string } | undefined)?.message;
    if (reason !== undefined && isTopicRefusal(reason)) throw topicRefused('DESCRIBE', [topic], answer[i]);
  }
}
