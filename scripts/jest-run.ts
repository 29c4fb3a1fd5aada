import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './child.ts';

/** How many tests went which way. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** Runs Jest on the files that match the patterns, all of them without one, and counts. */
export async function runJest(patterns: readonly string[], env: NodeJS.ProcessEnv): Promise<TestCounts> {
  const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-jest-'));
  const report = join(directory, 'report.json');
  try {
    const node = [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
    ];
    const ended = await run(process.execPath, [...node, '--json', `--outputFile=${report}`, ...patterns], { env });
    const counts = JSON.parse(readFileSync(report, 'utf8')) as JestReport;
    // A file that could not even be loaded has failed as a whole, and so has a Jest that went down.
    const failed = counts.numFailedTests + counts.numRuntimeErrorTestSuites;
    if (ended !== 0 && failed === 0) console.error(`Jest ended with ${ended} though no test failed`);
    return {
      passed: counts.numPassedTests,
      failed: ended !== 0 ? Math.max(1, failed) : failed,
      skipped: counts.numPendingTests + counts.numTodoTests,
    };
  } catch (error) {
    console.error(`Jest left no report: ${String(error)}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
