/** Tests run from source, as ES modules: our own export condition comes first, so no package has to be built. */
export default {
  roots: ['<rootDir>/packages', '<rootDir>/examples', '<rootDir>/bench', '<rootDir>/scripts'],
  testMatch: ['**/*.test.ts', '**/*.property.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  testSequencer: '<rootDir>/scripts/test-sequencer.mjs',
  globalSetup: '<rootDir>/scripts/bundle-programs.mjs',
  testEnvironment: 'node',
  testEnvironmentOptions: {
    customExportConditions: ['@kafka-worker/source', 'node', 'node-addons'],
  },
  testTimeout: 30_000,
  // Most tests wait for a broker, a process or a clock: one worker a core would leave a small machine idle for half of the time.
  maxWorkers: 3,
};
