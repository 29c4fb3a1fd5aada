import type { UserConfig } from 'tsdown';
import { preset } from '../../tsdown.preset.ts';

const config: UserConfig = { ...preset, entry: ['src/index.ts'] };
export default config;
