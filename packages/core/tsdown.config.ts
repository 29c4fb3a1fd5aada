import type { UserConfig } from 'tsdown';
import { preset } from '../../tsdown.preset.ts';

const config: UserConfig = {
  ...preset,
  // What is used of it gets into its place by `tsdown.kafka.config.ts`.
  deps: { neverBundle: ['@platformatic/kafka'] },
  entry: [
    ...['src/index.ts', 'src/confluent/index.ts', 'src/redrive/index.ts', 'src/testing/index.ts'],
    // The second one is loaded by name, in each thread.
    ...['src/threads/index.ts', 'src/threads/thread.ts'],
    'src/bin/kafka-worker.ts',
  ],
};
export default config;
