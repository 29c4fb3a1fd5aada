import { globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Only the rules that need types: what a type checker and Biome cannot see, floating promises above all. */
export default tseslint.config(
  globalIgnores(['**/dist/**', '**/node_modules/**', '**/*.mjs']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeCheckedOnly],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Methods that implement a promise-returning interface need not await anything.
      '@typescript-eslint/require-await': 'off',
      // Options and values from the native client are checked at run time though their types promise they cannot be wrong.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // Biome's noVoidTypeReturn says it where it matters.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    files: ['examples/**/*.ts'],
    rules: {
      // winston declares its transports as interfaces that extend a class, so every one of them would be refused.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
    },
  },
  {
    files: ['**/*.test.ts'],
    rules: {
      // Tests plant wrong values on purpose and hand methods to expect().
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/only-throw-error': 'off',
    },
  },
);
