import type { UserConfig } from 'tsdown';
import { preset } from '../../tsdown.preset.ts';

const config: UserConfig = {
  ...preset,
  entry: [
    ...['src/index.ts', 'src/confluent/index.ts', 'src/redrive/index.ts', 'src/testing/index.ts'],
    'src/bin/kafka-worker.ts',
  ],
};
export default config;
