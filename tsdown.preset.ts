import type { UserConfig } from 'tsdown';

/** How every package is built: ESM and CommonJS with declarations, one output file per source file. */
export const preset: UserConfig = {
  format: ['esm', 'cjs'],
  platform: 'node',
  target: 'node20.19',
  dts: true,
  unbundle: true,
  outDir: 'dist',
};
