import { afterEach, describe, expect, it } from '@jest/globals';
import { missingForKafka } from './kafka-jars.ts';
import { type ScriptProcess, scriptProcess } from './script-process.ts';

const hasRealTier = process.env.KAFKA_BROKERS !== undefined && missingForKafka().length === 0;
/** A busy machine takes several times as long as one that does nothing else. */
const timeoutMs = 420_000;

let running: ScriptProcess | undefined;
afterEach(() => {
  running?.child.kill('SIGTERM');
});

async function verdictOf(...args: readonly string[]): Promise<{ readonly code: number | null; readonly last: string }> {
  running = scriptProcess(['scripts/exactly-once-kafka.ts', '--json', ...args]);
  const { code, output } = await running.ended;
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(output);
  return { code, last };
}

(hasRealTier ? describe : describe.skip)('exactlyOnce on a real Kafka', () => {
  it(
    'has each output once, in order, though workers, transactions and the broker fail at random moments',
    async () => {
      const { code, last } = await verdictOf('--records', '3000', '--faults', '1');
      expect(JSON.parse(last)).toMatchObject({
        ...{ lost: 0, repeated: 0, orderViolations: 0, misplaced: 0, violations: [] },
      });
      expect(code).toBe(0);
    },
    timeoutMs,
  );

  it(
    'would not: under atLeastOnce the same run finds outputs that are there twice, and fails',
    async () => {
      const { code, last } = await verdictOf('--records', '1500', '--faults', '1', '--break');
      const { repeated, violations } = JSON.parse(last) as {
        readonly repeated: number;
        readonly violations: readonly string[];
      };
      expect(repeated).toBeGreaterThan(0);
      expect(violations).toContain(`repeated: ${repeated}`);
      expect(code).toBe(1);
    },
    timeoutMs,
  );
});
