import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { fakeKafka } from '@kafka-worker/core/testing';
import { trace } from '@opentelemetry/api';
import { scriptProcess } from '../../scripts/script-process.ts';
import { createWorker } from '../05-per-key/main.ts';
import { type ExampleArguments, examplesThatTrace } from './example-arguments.ts';
import { seeded } from './example-topic.ts';
import { ObservedRun } from './observed-run.ts';
import { OtlpReceiver } from './otlp-receiver.ts';
import { type CreateWorker, type ExampleRun, runExample } from './run-example.ts';

const examples = join(import.meta.dirname, '..');
const folders = readdirSync(examples).filter((name) => /^\d\d-/.test(name));
const { records } = seeded;
const fail = [{ partition: 1, offset: 5 }];

interface ExampleModule {
  readonly createWorker: CreateWorker;
  readonly open?: CreateWorker;
}

function traced(example: string, traceOtlp: string, create: CreateWorker): Promise<ExampleRun> {
  const given: ExampleArguments = { example, fail, json: true, traceOtlp };
  return runExample(create, given, { cluster: { kafka: fakeKafka(), name: 'fake', close: async () => {} } });
}

describe('--trace-otlp', () => {
  it.each(folders)(
    'sends the spans of %s, and of what filled its topic',
    async (folder) => {
      const { open, createWorker: create } = (await import(`../${folder}/main.ts`)) as ExampleModule;
      const isObserved = examplesThatTrace.has(folder.slice(0, 2));
      const quiet = isObserved ? new ObservedRun(open as ConstructorParameters<typeof ObservedRun>[0]).open : open;
      await using receiver = await OtlpReceiver.open();
      const { summary, spans, problem } = await traced(folder.slice(0, 2), receiver.url, quiet ?? create);
      expect({ problem, spans }).toEqual({
        problem: undefined,
        spans: { line: `${receiver.spans.length} spans sent to ${receiver.url}/v1/traces`, isIncomplete: false },
      });
      expect(new Set(receiver.spans.map(({ service }) => service))).toEqual(new Set([`example-${folder.slice(0, 2)}`]));
      const of = (name: string) => receiver.spans.filter((span) => span.name === `${name} ${summary.topic}`);
      const sent = new Set(of('send').map(({ traceId, spanId }) => `${traceId}/${spanId}`));
      expect(sent.size).toBe(records);
      // Batches have no parent.
      const processed = of('process').filter(({ parentSpanId }) => (parentSpanId ?? '') !== '');
      expect(processed).toHaveLength(summary.records);
      expect(processed.filter(({ traceId, parentSpanId }) => !sent.has(`${traceId}/${parentSpanId}`))).toEqual([]);
      expect(processed.filter(({ status }) => status === 2)).toHaveLength(summary.failed);
      expect(trace.getTracer('after').startSpan('nothing').isRecording()).toBe(false);
    },
    60_000,
  );

  it.each([
    ['refuses', 400, 'Bad Request'],
    ['never answers', 'nothing', 'Request timed out|has not answered'],
  ] as const)(
    'fails no example when the collector %s: the run ends all the same, and says so',
    async (_what, answer, why) => {
      await using receiver = await OtlpReceiver.open(answer);
      const { summary, error, spans } = await traced('05', receiver.url, createWorker);
      expect(summary).toMatchObject({ records, failed: 1 });
      expect(error).toBeUndefined();
      expect(spans?.isIncomplete).toBe(true);
      expect(spans?.line).toMatch(
        new RegExp(`^0 of ${2 * records} spans sent to ${receiver.url}/v1/traces: .*(${why})`),
      );
    },
  );

  it('says where no collector is, also beside --json, and the exit code is that of the example', async () => {
    const receiver = await OtlpReceiver.open();
    const { url } = receiver;
    await receiver[Symbol.asyncDispose]();
    const { code, output } = await scriptProcess(['examples/run.ts', '01', '--json', '--trace-otlp', url]).ended;
    const line = `0 of ${2 * records} spans sent to ${url}/v1/traces: connect ECONNREFUSED`;
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining(line) });
    expect(output).toContain('{"example":"01"');
  }, 60_000);

  it('works as a command', async () => {
    await using receiver = await OtlpReceiver.open();
    const { code, output } = await scriptProcess(['examples/run.ts', '--trace-otlp', receiver.url, '06']).ended;
    expect({ code, output }).toEqual({
      code: 0,
      output: expect.stringContaining(`${receiver.spans.length} spans sent to ${receiver.url}/v1/traces`),
    });
    expect(receiver.spans.filter(({ name }) => name === 'charge').length).toBeGreaterThanOrEqual(records);
  }, 60_000);
});
