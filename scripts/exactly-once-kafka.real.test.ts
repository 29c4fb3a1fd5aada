import { afterEach, describe, expect, it } from '@jest/globals';
import { missingForKafka } from './kafka-jars.ts';
import { readers } from './proven-reader.ts';
import { type ScriptProcess, scriptProcess } from './script-process.ts';

const hasRealTier = process.env.KAFKA_BROKERS !== undefined && missingForKafka().length === 0;
/** A busy machine takes several times as long as one that does nothing else. */
const timeoutMs = 420_000;

let running: ScriptProcess | undefined;
afterEach(() => {
  running?.child.kill('SIGTERM');
});

(hasRealTier ? describe : describe.skip)('exactlyOnce on a real Kafka', () => {
  it.each(readers)(
    'has each output once, in order, though workers, transactions and the broker fail at random moments, read by %s',
    async (reader) => {
      const args = ['--records', '3000', '--faults', '1', '--one-broker', '--json', '--reader', reader];
      running = scriptProcess(['scripts/exactly-once-kafka.ts', ...args]);
      const { code, output } = await running.ended;
      if (code !== 0) throw new Error(output);
      expect(JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
        ...{ lost: 0, repeated: 0, orderViolations: 0, misplaced: 0, violations: [] },
      });
    },
    timeoutMs,
  );
});
