import { defineConfig } from 'tsdown';
import { preset } from '../../tsdown.preset.ts';

export default defineConfig({ ...preset, entry: ['src/index.ts'] });
