import type { NativeConsumer, NativeMetadata } from './native-client.ts';
import type { RawClient } from './raw-client.ts';

/** Short ones first: mostly a topic was created a moment ago, and not every broker knows of it yet. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
const ANSWER_MS = 2_000;

/** What it works with. */
export interface MissingTopicsParts {
  readonly raw: Pick<RawClient<NativeConsumer>, 'isUsable' | 'metadata'>;
  /** What is subscribed. */
  readonly topics: () => readonly string[];
}

/**
 * Looks for subscribed topics that the cluster did not know. librdkafka asks again only after `topic.metadata.refresh.interval.ms`, which is five minutes, and
 * its group goes without them for so long. It looks again at its subscription when an answer lists all topics.
 */
export class MissingTopics {
  readonly #parts: MissingTopicsParts;
  #isLooking = false;

  constructor(parts: MissingTopicsParts) {
    this.#parts = parts;
  }

  /** One is missing. */
  look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look().finally(() => {
      this.#isLooking = false;
    });
  }

  async #look(): Promise<void> {
    const { raw } = this.#parts;
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      // Nobody waits for it: the process may end.
      await new Promise<void>((resolve) => void setTimeout(resolve, pauseMs).unref());
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      if (!raw.isUsable || (await this.#areThere())) return;
    }
  }

  async #areThere(): Promise<boolean> {
    const { raw, topics } = this.#parts;
    // Of a pattern nobody knows what it should find.
    const missing = new Set(topics().filter((topic) => !topic.startsWith('^')));
    try {
      // A cluster may have very many topics: all are asked for when these are there.
      for (const topic of missing) if (!isThere(await raw.metadata(topic, ANSWER_MS), topic)) return false;
      if (!raw.isUsable) return true;
      const all = await raw.metadata(undefined, ANSWER_MS);
      return [...missing].every((topic) => isThere(all, topic));
    } catch {
      return false;
    }
  }
}

function isThere({ topics }: NativeMetadata, name: string): boolean {
  return topics.some((topic) => topic.name === name && topic.partitions.length > 0);
}
