import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { fakeKafka } from '@kafka-worker/core/testing';
import { kafkaTool, missingForKafka } from '../../scripts/kafka-jars.ts';
import type { ExampleArguments } from './example-arguments.ts';
import type { ExampleCluster } from './example-cluster.ts';
import { openExampleCluster } from './example-cluster.ts';
import type { ExampleSummary } from './example-summary.ts';
import { figuresOf } from './example-summary.ts';
import type { HandlerCall } from './handler-calls.ts';
import type { CreateWorker } from './run-example.ts';
import { runExample } from './run-example.ts';

/** One run of an example, and what its trace says. */
interface TracedRun {
  readonly summary: ExampleSummary;
  readonly calls: readonly HandlerCall[];
  /** Only of a run with `crash`, or one that is expected to end with one: any other is expected to have none. */
  readonly error: Error | undefined;
  /** The fields of each line that the worker's own log had with that message. */
  readonly logged: (message: string) => readonly object[];
}

type KafkaTier = 'fake' | 'embedded' | 'real';

/** Runs the example once. */
type RunTraced = (
  given?: Partial<ExampleArguments>,
  create?: CreateWorker,
  expected?: { readonly error: true },
) => Promise<TracedRun>;

const realBrokers = process.env.KAFKA_BROKERS;
const clusters: { readonly name: KafkaTier; readonly open: () => Promise<ExampleCluster> }[] = [
  { name: 'fake', open: async () => ({ kafka: fakeKafka(), name: 'fake', close: async () => {} }) },
  { name: 'embedded', open: () => openExampleCluster(undefined) },
  { name: 'real', open: () => openExampleCluster(realBrokers) },
];
const isThere = (name: string): boolean => name !== 'real' || realBrokers !== undefined;

/**
 * The frame of an example's executable documentation: `define` states what its card says, on every Kafka that is there. Each run's figures are
 * recomputed from its trace, and what it committed is compared with what Kafka's own tool shows.
 */
export function describeExample(
  example: string,
  createWorker: CreateWorker,
  define: (run: RunTraced, kafka: KafkaTier) => void,
): void {
  describe.each(clusters)(`example ${example} on $name Kafka`, ({ name, open }) => {
    if (!isThere(name)) {
      it.skip('needs a broker, named by KAFKA_BROKERS', () => {});
      return;
    }

    let cluster: ExampleCluster;
    let directory: string;
    const committedBy = new Map<string, ExampleSummary['committed']>();

    beforeAll(async () => {
      cluster = await open();
      directory = mkdtempSync(join(tmpdir(), `example-${example}-`));
    });
    afterAll(async () => {
      await cluster.close();
      rmSync(directory, { recursive: true });
    });

    define(async (given = {}, create = createWorker, expected) => {
      const trace = join(directory, 'trace.jsonl');
      const args: ExampleArguments = { example, fail: [], json: true, trace, ...given };
      // Where a worker without a logger of its own writes.
      const stderr = jest.spyOn(process.stderr, 'write');
      const { summary, error, problem } = await runExample(create, args, { cluster });
      const written = stderr.mock.calls.map(([text]) => String(text)).join('');
      stderr.mockRestore();
      if (given.crash !== true && expected === undefined) expect(error).toBeUndefined();
      expect(problem).toBeUndefined();
      const lines = readFileSync(trace, 'utf8').trimEnd().split('\n');
      const calls = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as HandlerCall);
      const { records, handled, failed, seconds, maxConcurrent, order } = summary;
      expect(figuresOf(calls)).toEqual({ records, handled, failed, seconds, maxConcurrent, order });
      committedBy.set(summary.group, summary.committed);
      return { summary, calls, error, logged: (message) => fieldsOf(message, written) };
    }, name);

    if (name !== 'real') return;
    const toolsOfKafka = missingForKafka().length === 0 ? it : it.skip;
    toolsOfKafka("has committed what Kafka's own ConsumerGroupCommand shows, in each run above", async () => {
      const groups = [...committedBy.keys()].flatMap((group) => ['--group', group]);
      const args = ['--bootstrap-server', realBrokers ?? '', '--describe', '--offsets', ...groups];
      const { stdout } = await kafkaTool('ConsumerGroupCommand', args);
      const shown = new Map<string, Record<string, number>>();
      for (const line of stdout.split('\n')) {
        const [group = '', topic, partition, offset] = line.trim().split(/\s+/);
        if (committedBy.has(group))
          shown.set(group, { ...shown.get(group), [`${topic}/${partition}`]: Number(offset) });
      }
      expect(shown).toEqual(committedBy);
    });
  });
}

function fieldsOf(message: string, written: string): object[] {
  const lines = written.matchAll(new RegExp(`^\\S+ (?:warn|error) ${message} (\\{.*\\})$`, 'gm'));
  return Array.from(lines, ([, fields = '']) => JSON.parse(fields) as object);
}

/**
 * Runs as many at once as there may be: certain in the cluster in memory, which has every record at once. Elsewhere they come as they come: more than one,
 * and never more than that.
 */
export function expectAtOnce({ maxConcurrent }: ExampleSummary, most: number, kafka: KafkaTier): void {
  if (kafka === 'fake') expect(maxConcurrent).toBe(most);
  expect(maxConcurrent).toBeGreaterThan(1);
  expect(maxConcurrent).toBeLessThanOrEqual(most);
}

/** The lines in the log that records which `--fail` named were passed over. */
export function expectSkippedInLog(
  { summary: { topic }, logged }: TracedRun,
  fail: readonly { readonly partition: number; readonly offset: number }[],
): void {
  const error = { name: 'Error', message: 'made to fail by --fail' };
  const expected = fail.map(({ partition, offset }) => ({ topic, partition, offset, attempts: 1, error }));
  const lines = logged('record skipped');
  expect(lines).toHaveLength(fail.length);
  expect(lines).toEqual(expect.arrayContaining(expected));
}

/** The next offsets that mean that every record of the trace is finished. */
export function endsOf(calls: readonly HandlerCall[]): Record<string, number> {
  const ends: Record<string, number> = {};
  for (const { topic, partition, offset } of calls) {
    const name = `${topic}/${partition}`;
    ends[name] = Math.max(ends[name] ?? 0, offset + 1);
  }
  return ends;
}

/** Where calls failed, and with which attempt. */
export function failuresOf(calls: readonly HandlerCall[]): { partition: number; offset: number; attempt: number }[] {
  return calls
    .filter((call) => call.outcome === 'error')
    .map(({ partition, offset, attempt }) => ({ partition, offset, attempt }))
    .sort((a, b) => a.partition - b.partition || a.offset - b.offset || a.attempt - b.attempt);
}
