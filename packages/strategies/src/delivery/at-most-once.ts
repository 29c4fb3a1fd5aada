import type { Delivery, DeliverySession } from '@kafka-worker/core';
import { checkBoolean, checkOptions } from '../option-checks.ts';

/** Start without any. */
export interface AtMostOnceOptions {
  /** Allows policies that keep a failed record for later (freezing) or write it elsewhere: a crash loses it all the same. @defaultValue false */
  readonly acceptLoss?: boolean;
}

/**
 * No record is ever handled twice, for every polled chunk is committed, and the commit acknowledged, before any of it is handled. What a crash
 * interrupts is lost; retries happen in memory only. A stop or a rebalance handles what was committed first, as far as the time goes.
 * @throws InvalidOptionError
 */
export function atMostOnce(options: AtMostOnceOptions = {}): Delivery {
  checkOptions('atMostOnce', options, ['acceptLoss']);
  const { acceptLoss = false } = options;
  checkBoolean('atMostOnce.acceptLoss', acceptLoss);
  return {
    kind: 'delivery',
    name: 'atMostOnce',
    commitsReceived: true,
    ...(acceptLoss
      ? {}
      : {
          refuses: {
            actions: ['freeze-partition', 'freeze-key', 'dead-letter'],
            why: 'a crash loses the record, whose offset is committed already. Choose atLeastOnce(), or say atMostOnce({ acceptLoss: true })',
          },
        }),
    open: ({ consumer }) => {
      const session: DeliverySession = {
        received: (_records, next) => consumer.commit(next),
        // What is finished lies below what is committed already; only positions behind control records come this way.
        commit: ({ partitions }) => consumer.commit(partitions),
        close: () => Promise.resolve(),
      };
      return Promise.resolve(session);
    },
  };
}
