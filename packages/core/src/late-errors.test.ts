import { describe, expect, it } from '@jest/globals';
import { stopPolicy } from './defaults.ts';
import { HandlerError } from './handler-errors.ts';
import { logLateErrors } from './late-errors.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';

interface Line {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

function noting(lines: Line[]) {
  return {
    debug() {},
    info() {},
    warn() {},
    error: (message: string, fields?: Line['fields']) => void lines.push({ message, fields }),
  };
}

describe('errors that come while a worker ends', () => {
  it('are one line with a count where a hundred handlers fail at once', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send(Array.from({ length: 100 }, (_, i) => ({ topic: 't', partition: 0, key: `${i}`, value: 'x' })));
    const lines: Line[] = [];
    const rejects: (() => void)[] = [];
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: noting(lines), onFailure: stopPolicy },
      concurrency: { kind: 'concurrency', name: 'all', lanes: { by: 'all', active: 1, inside: { width: 100 } } },
      handler: () =>
        new Promise((_resolve, reject) => {
          rejects.push(() => reject(new Error('no')));
        }),
    });
    await worker.start();
    await kafka.clock.advance(10);
    expect(rejects).toHaveLength(100);
    const stopping = worker.stop();
    for (const fail of rejects) fail();
    await kafka.clock.advance(60_000);
    const { error } = await stopping;
    expect(error).toMatchObject({ offset: 0 });
    expect(lines).toEqual([
      { message: 'more handlers failed while stopping', fields: { count: 99, error: expect.any(HandlerError) } },
    ]);
  });

  it('are a line each where they are of another kind', () => {
    const lines: Line[] = [];
    const [a, b] = [new Error('a'), new Error('b')];
    const failed = new HandlerError({ topic: 't', partition: 0, offset: 1 }, 1, new Error('no'));
    logLateErrors([a, failed, b], noting(lines));
    expect(lines).toEqual([
      { message: 'something went wrong while stopping', fields: { error: a } },
      { message: 'something went wrong while stopping', fields: { error: b } },
      { message: 'more handlers failed while stopping', fields: { count: 1, error: failed } },
    ]);
  });
});
