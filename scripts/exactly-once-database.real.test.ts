import { afterEach, describe, expect, it } from '@jest/globals';
import { missingForKafka } from './kafka-jars.ts';
import { whyNoPostgres } from './postgres-programs.ts';
import { readers } from './proven-reader.ts';
import { type ScriptProcess, scriptProcess } from './script-process.ts';

const hasRealTier =
  process.env.KAFKA_BROKERS !== undefined && missingForKafka().length === 0 && whyNoPostgres() === undefined;
/** A busy machine takes several times as long as one that does nothing else. */
const timeoutMs = 420_000;

let running: ScriptProcess | undefined;
afterEach(() => {
  running?.child.kill('SIGTERM');
});

(hasRealTier ? describe : describe.skip)('exactlyOnceInDatabase on a real Kafka and a real PostgreSQL', () => {
  it.each(readers)(
    'has each record once, in order, though workers, connections and servers fail at random moments, read by %s',
    async (reader) => {
      running = scriptProcess([
        'scripts/exactly-once-database.ts',
        '--records',
        '4000',
        '--faults',
        '2',
        '--json',
        '--reader',
        reader,
      ]);
      const { code, output } = await running.ended;
      if (code !== 0) throw new Error(output);
      expect(JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
        ...{ lost: 0, repeated: 0, orderViolations: 0, leftRows: 0, violations: [] },
      });
    },
    timeoutMs,
  );
});
