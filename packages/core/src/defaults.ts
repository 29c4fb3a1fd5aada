import type { ConcurrencyStrategy } from './concurrency.ts';
import type { Delivery } from './delivery.ts';
import type { FailurePolicy } from './failure.ts';
import { retryPolicy } from './retry-policy.ts';

/** Partitions at the same time, each in its order. */
export const perPartitionStrategy: ConcurrencyStrategy = {
  kind: 'concurrency',
  name: 'perPartition',
  lanes: { by: 'partition', active: Number.POSITIVE_INFINITY, inside: { width: 1 } },
};

/** A failure ends the worker, with the failed record not done. */
export const stopPolicy: FailurePolicy = {
  kind: 'failure',
  name: 'stop',
  may: ['stop'],
  decide: () => ({ do: 'stop' }),
};

/** Five attempts, then the worker stops. */
export const retryThenStopPolicy: FailurePolicy = retryPolicy({ then: stopPolicy });

/** Commits offsets to the group, after the records before them are finished. */
export const atLeastOnceDelivery: Delivery = {
  kind: 'delivery',
  name: 'atLeastOnce',
  open: ({ consumer }) =>
    Promise.resolve({
      commit: ({ partitions }) => consumer.commit(partitions),
      close: () => Promise.resolve(),
    }),
};
