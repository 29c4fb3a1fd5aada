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

(hasRealTier ? describe : describe.skip)('npm run chaos, on three real brokers', () => {
  it.each(readers)(
    'loses nothing, breaks no order and repeats nothing without need while workers come, leave and die and a broker restarts, read by %s',
    async (reader) => {
      running = scriptProcess(['scripts/chaos.ts', '--seconds', '25', '--json', '--reader', reader]);
      const { code, output } = await running.ended;
      if (code !== 0) throw new Error(output);
      expect(JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
        ...{ lost: 0, orderViolations: 0, repeatedAfterLeave: 0, violations: [] },
      });
    },
    timeoutMs,
  );
});
