import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Sequencer from '@jest/test-sequencer';

/**
 * What takes longest, first: several processes run the tests, and none should be left with a long one at the end. What only computes, in promises, comes
 * before anything else: in a process where other tests have followed promises, or have left much behind, it takes several times as long.
 */
const longest = [
  'packages/strategies/src/testing/simulation/simulation.test.ts',
  'packages/strategies/src/testing/simulation/mutations/mutations.test.ts',
  'packages/strategies/src/concurrency/contract.test.ts',
  'packages/core/src/testing/every-await.test.ts',
  'packages/core/src/confluent/confluent-kafka.real.test.ts',
  'packages/strategies/src/delivery/exactly-once-unwritable.real.test.ts',
  'packages/strategies/src/delivery/exactly-once.real.test.ts',
  'examples/10-exactly-once/kills.test.ts',
  'packages/core/src/confluent/authorization.real.test.ts',
  'packages/strategies/src/delivery/exactly-once-interrupted.real.test.ts',
  'scripts/chaos.real.test.ts',
  'packages/core/src/rebalance.real.test.ts',
  'examples/02-graceful-shutdown-and-readiness/main.test.ts',
  'packages/core/src/confluent/isolation.real.test.ts',
  'packages/core/src/bin/kafka-worker.test.ts',
  'packages/core/src/confluent/moved-partition.real.test.ts',
  'packages/core/src/static-members.real.test.ts',
  'scripts/exactly-once-database.real.test.ts',
  'bench/exactly-once-database/paused-owner.real.test.ts',
  'packages/core/src/failure.real.test.ts',
  'packages/core/src/confluent/login-interrupted.real.test.ts',
  'scripts/exactly-once-kafka.real.test.ts',
  'packages/core/src/run-until-signal.test.ts',
  'examples/10-exactly-once/main.test.ts',
  'packages/core/src/testing/embedded-kafka.test.ts',
  'packages/core/src/worker-on-kafka.test.ts',
  'examples/harness/trace-otlp.test.ts',
].map((file) => fileURLToPath(new URL(`../${file}`, import.meta.url)));

/** The order in which Jest runs the test files. */
export default class TestSequencer extends Sequencer {
  /** @type {Sequencer['sort']} */
  async sort(tests) {
    const gone = longest.filter((file) => !existsSync(file));
    if (gone.length > 0)
      throw new Error(`scripts/test-sequencer.mjs names test files that are not there: ${gone.join()}`);
    const others = await super.sort(tests);
    const rank = new Map(longest.map((file, i) => [file, i]));
    const placeOf = ({ path }) => rank.get(path) ?? longest.length;
    // Stable: the others keep Jest's order among themselves.
    return [...others].sort((a, b) => placeOf(a) - placeOf(b));
  }
}
