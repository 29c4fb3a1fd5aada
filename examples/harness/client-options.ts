import type { KafkaAdminOptions } from '@kafka-worker/core';
import { systemClock } from '@kafka-worker/core';

/** What every client of the harness is made with; warnings and errors go to stderr. */
export const clientOptions: KafkaAdminOptions = {
  clock: systemClock,
  logger: { debug() {}, info() {}, warn: console.error, error: console.error },
};

/** How long the harness tries to reach a broker. */
export const CONNECT_TIMEOUT_MS = 30_000;
