import type { KafkaConsumer, NextOffset, Poll, StartOffset, TopicPartition } from '@kafka-worker/core';
import type { Oracle } from './oracle.ts';

type Method = (...args: unknown[]) => unknown;

/** A process's consumer that tells the oracle what passes through it, and does nothing more when the process is dead. */
export function watchedConsumer(
  consumer: KafkaConsumer,
  { name, isDead, oracle }: { readonly name: string; readonly isDead: () => boolean; readonly oracle: Oracle },
): KafkaConsumer {
  const { ownership } = oracle;
  const note = (what: string, places: readonly (TopicPartition & { readonly offset?: number })[]): void => {
    const named = places.map(({ partition, offset }) => (offset === undefined ? partition : `${partition}@${offset}`));
    oracle.note([name, what, ...named].join(' '));
  };
  const watched: Partial<KafkaConsumer> = {
    poll: async (...args): Promise<Poll> => {
      const poll = await consumer.poll(...args);
      for (const { type, partitions } of poll.events) note(`is told ${type}`, partitions);
      ownership.told(name, poll.events);
      return poll;
    },
    commit: async (offsets: readonly NextOffset[]): Promise<void> => {
      note('commits', offsets);
      const answered = ownership.committing(name, offsets);
      try {
        await consumer.commit(offsets);
      } catch (error) {
        answered(false);
        note('cannot commit', offsets);
        throw error;
      }
      answered(true);
    },
    assign: (starts: readonly StartOffset[]): void => {
      note('takes', starts);
      consumer.assign(starts);
      ownership.assigned(name, starts);
    },
    release: (partitions: readonly TopicPartition[]): void => {
      note('releases', partitions);
      ownership.released(name, partitions);
      consumer.release(partitions);
    },
    close: (how): Promise<void> => {
      note('closes', []);
      ownership.gone(name, 'closed');
      return consumer.close(how);
    },
  };
  const methods = new Map<PropertyKey, Method>();
  return new Proxy(consumer, {
    get: (target, key): unknown => {
      const known = methods.get(key);
      if (known !== undefined) return known;
      const member: unknown = Reflect.get(key in watched ? watched : target, key);
      if (typeof member !== 'function') return member;
      const bound = member.bind(target) as Method;
      // What a dead process still calls is heard by nobody.
      const method: Method = (...args) => (isDead() ? new Promise(() => {}) : bound(...args));
      methods.set(key, method);
      return method;
    },
  });
}
