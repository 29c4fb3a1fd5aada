import { type Mutation, tampered } from './mutation.ts';

/** What would go wrong if the worker mistook what its client says. */
export const clientMutations: readonly Mutation[] = [
  {
    name: 'drops a polled record',
    breaks: 'commit',
    tampering: {
      consumer: (consumer) =>
        tampered(consumer, {
          poll: async (...args) => {
            const polled = await consumer.poll(...args);
            return { ...polled, records: polled.records.filter(({ offset }) => offset % 5 !== 3) };
          },
        }),
    },
  },
  {
    name: 'starts one before the committed offset',
    breaks: 'duplicates',
    tampering: {
      consumer: (consumer) =>
        tampered(consumer, {
          committed: async (partitions) => {
            const all = await consumer.committed(partitions);
            return all.map((one) => (one.offset === undefined ? one : { ...one, offset: Math.max(0, one.offset - 1) }));
          },
        }),
    },
  },
  {
    name: 'starts a new group at the end of the log',
    breaks: 'commit',
    tampering: {
      consumer: (consumer) =>
        tampered(consumer, { offsetsFor: (partitions) => consumer.offsetsFor(partitions, 'latest') }),
    },
  },
  {
    name: 'takes a refused commit for an acknowledged one',
    breaks: 'no-loss',
    tampering: {
      consumer: (consumer) => tampered(consumer, { commit: (offsets) => consumer.commit(offsets).catch(() => {}) }),
    },
  },
  {
    name: 'answers a revocation twice',
    breaks: 'no-defect',
    tampering: {
      consumer: (consumer) =>
        tampered(consumer, {
          release: (partitions) => {
            consumer.release(partitions);
            consumer.release(partitions);
          },
        }),
    },
  },
];
