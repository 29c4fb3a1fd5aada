import type { Delivery } from '@kafka-worker/core';
import { atLeastOnceDelivery } from '@kafka-worker/core';
import { checkNoOptions } from '../option-checks.ts';

/**
 * Every record is handled at least once: its offset is committed after it is finished, and after a crash what was not committed comes again.
 * Handlers should be idempotent. The default.
 */
export function atLeastOnce(...none: readonly never[]): Delivery {
  checkNoOptions('atLeastOnce', none);
  return atLeastOnceDelivery;
}
