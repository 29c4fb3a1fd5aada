import { AuthenticationError, ClientError, ConnectionError } from '../errors.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { TopicPartition } from '../record.ts';
import { pauseFor } from './bounded.ts';
import { consumeError, nativeCode, toNativeError } from './client-errors.ts';
import { refusalOf } from './hidden-topics.ts';
import { MissingTopics } from './missing-topics.ts';
import type { NativeConsumer } from './native-client.ts';
import type { PositionCheck } from './position-check.ts';
import type { RawClient } from './raw-client.ts';
import type { RecordReader } from './record-reader.ts';
import { groupRefused, topicRefused } from './refusals.ts';

const FATAL_TEXT_MS = 20;

/** For so long it is listened which topics go on, when one of several may not be read: that one does not. */
const LISTEN_MS = 3_000;
const LISTEN_EVERY_MS = 100;

/** What it works with. */
export interface ReadFailuresParts {
  readonly raw: RawClient<NativeConsumer>;
  /** The partitions that are assigned here. */
  readonly owned: () => RecordReader['owned'];
  readonly check: Pick<PositionCheck, 'oneHasStopped' | 'lookAtAll'>;
  readonly brokers: readonly string[];
  readonly groupId: string;
  /** What is subscribed. */
  readonly topics: () => readonly string[];
  readonly report: (error: KafkaWorkerError) => void;
}

/** What to make of an error that came in the place of records: librdkafka has a code for it, and names neither topic nor partition. */
export class ReadFailures {
  readonly #parts: ReadFailuresParts;
  readonly #missing: MissingTopics;

  constructor(parts: ReadFailuresParts) {
    this.#parts = parts;
    this.#missing = new MissingTopics(parts);
  }

  failed(thrown: unknown, suspect?: TopicPartition): void {
    const { raw, check, report, brokers, groupId } = this.#parts;
    if (!raw.isUsable) return;
    const { code, message } = toNativeError(thrown);
    if (code === nativeCode.noOffsetReset) check.oneHasStopped();
    else check.lookAtAll();
    if (code === nativeCode.unknownTopicOrPartition) this.#missing.look();
    // The check finds out which partitions it was, and names their ranges.
    if (code === nativeCode.noOffsetReset || code === nativeCode.state) return;
    if (thrown instanceof RangeError) {
      report(new ClientError(message));
    } else if (code === nativeCode.fatal) {
      // Its text comes as a log line, by another way.
      setTimeout(() => report(raw.events.fatal ?? new ClientError(message)), FATAL_TEXT_MS);
    } else if (code === nativeCode.groupAuthorizationFailed) {
      report(groupRefused('READ', groupId, thrown));
    } else if (code === nativeCode.topicAuthorizationFailed) {
      void this.#topicRefused(thrown, suspect);
    } else {
      const error = consumeError(thrown, brokers);
      const detail = raw.events.lastFailure;
      // A login that was cut off has the same code as one that was refused; which of them it was the client's own events tell, where it ends the client.
      const isLostLogin = error instanceof AuthenticationError && raw.events.authentication === undefined;
      const isUnreachable = isLostLogin || (error instanceof ConnectionError && detail !== undefined);
      const text = detail === undefined ? error.message : `${error.message}: ${detail}`;
      report(isUnreachable ? new ConnectionError(text, { brokers, cause: thrown }) : error);
    }
  }

  /** Whoever may not describe a topic is told so by the group; whoever may describe and not read it, by the fetch. */
  async #topicRefused(thrown: unknown, suspect: TopicPartition | undefined): Promise<void> {
    const { raw, topics, report } = this.#parts;
    const hidden = await refusalOf(raw, topics());
    if (hidden !== undefined) {
      report(hidden);
      return;
    }
    const refused = suspect === undefined ? await this.#topicsThatStopped() : [suspect.topic];
    if (raw.isUsable) report(topicRefused('READ', refused, thrown));
  }

  /** Behind its error nothing comes of the refused topic; what is heard of a topic from now on clears it. */
  async #topicsThatStopped(): Promise<readonly string[]> {
    const { raw, owned: ownedNow, topics } = this.#parts;
    const since = Date.now();
    let silent: readonly string[];
    do {
      await pauseFor(LISTEN_EVERY_MS);
      const owned = Array.from(ownedNow());
      const heard = new Set(owned.filter((one) => one.lastHeardAt > since).map(({ topic }) => topic));
      silent = [...new Set(owned.map(({ topic }) => topic))].filter((topic) => !heard.has(topic));
    } while (raw.isUsable && silent.length > 1 && Date.now() - since < LISTEN_MS);
    return silent.length > 0 ? silent : topics();
  }
}
