import { describe, expect, it } from '@jest/globals';
import { expectTypeOf } from 'expect-type';
import { systemClock } from './clock.ts';
import { atLeastOnceDelivery, perPartitionStrategy, retryThenStopPolicy, stopPolicy } from './defaults.ts';
import type { Delivery } from './delivery.ts';
import { json, type StandardSchema, string } from './deserializer.ts';
import { InvalidOptionError } from './errors.ts';
import { stderrLogger } from './logger.ts';
import type { KafkaRecord } from './record.ts';
import { resolveWorkerOptions } from './resolved-worker-options.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { WorkerOptions } from './worker-options.ts';

const kafka = fakeKafka();
const handler = (): void => {};
const required = { kafka, groupId: 'g', topics: 't', handler };

/** The error that options are refused with. */
function refusal(options: object): InvalidOptionError {
  try {
    resolveWorkerOptions(options as WorkerOptions);
  } catch (error) {
    if (error instanceof InvalidOptionError) return error;
    throw error;
  }
  throw new Error('the options were taken');
}

describe('worker options', () => {
  it('have the documented defaults', () => {
    expect(resolveWorkerOptions(required)).toEqual({
      ...{ kafka, groupId: 'g', topics: ['t'], handler, batchHandler: undefined },
      concurrency: perPartitionStrategy,
      onFailure: retryThenStopPolicy,
      delivery: atLeastOnceDelivery,
      plugins: [],
      value: undefined,
      key: undefined,
      name: 'g',
      groupProtocol: 'classic',
      groupInstanceId: undefined,
      startFrom: 'earliest',
      onOffsetOutOfRange: 'fail',
      commit: { everyMs: 1_000, everyRecords: Number.POSITIVE_INFINITY },
      limits: { inFlightRecords: 10_000, inFlightBytes: 64 * 1024 * 1024, aheadOfFrontier: 50_000 },
      handlerTimeoutMs: undefined,
      stuckAfterMs: 10_000,
      onStuckHandler: 'fail',
      revokeDrainMs: 25_000,
      onAssigned: undefined,
      onRevoked: undefined,
      stallMs: 60_000,
      connectTimeoutMs: 30_000,
      logger: stderrLogger,
      clock: systemClock,
      random: Math.random,
      batch: { maxRecords: 500, maxBytes: Number.POSITIVE_INFINITY, maxWaitMs: 0 },
    });
  });

  it('keep what is given beside the defaults', () => {
    const given: WorkerOptions<string | null, string | null> = {
      ...{ ...required, name: 'n', groupProtocol: 'consumer', groupInstanceId: 'i', startFrom: new Date(5) },
      ...{ onOffsetOutOfRange: 'latest', commit: { everyRecords: 5 }, limits: { inFlightBytes: 7 }, revokeDrainMs: 0 },
      ...{ connectTimeoutMs: 1, onFailure: stopPolicy, value: string(), key: string() },
    };
    const { commit, limits, ...rest } = given;
    expect(resolveWorkerOptions(given)).toMatchObject({
      ...{ ...rest, topics: ['t'] },
      commit: { everyMs: 1_000, ...commit },
      limits: { inFlightRecords: 10_000, aheadOfFrontier: 50_000, ...limits },
    });
  });

  it.each([
    ['delivery.name', { delivery: { kind: 'delivery' } }],
    ['delivery.open', { delivery: { kind: 'delivery', name: 'x' } }],
    ['onFailure.name', { onFailure: { kind: 'failure' } }],
    ['onFailure.decide', { onFailure: { kind: 'failure', name: 'x', decide: 'stop' } }],
  ])('are refused where %s is not what the engine will call', (option, options) => {
    expect(refusal({ ...required, ...options })).toMatchObject({ option });
  });

  it('take undefined as left out', () => {
    const undefinedOnes = {
      name: undefined,
      commit: undefined,
      limits: { inFlightRecords: undefined },
      batch: undefined,
    };
    expect(resolveWorkerOptions({ ...required, ...undefinedOnes } as unknown as WorkerOptions)).toEqual(
      resolveWorkerOptions(required),
    );
  });

  it.each<[string, object, string]>([
    ['kafka', { kafka: undefined }, 'undefined'],
    ['kafka', { kafka: { consumer: 1 } }, 'an object (Object)'],
    ['groupId', { groupId: '' }, '""'],
    ['groupId', { groupId: 5 }, '5'],
    ['topics', { topics: undefined }, 'undefined'],
    ['topics', { topics: [] }, 'an empty array'],
    ['topics', { topics: '' }, '""'],
    ['topics', { topics: 'a b' }, '"a b"'],
    ['topics', { topics: '..' }, '".."'],
    ['topics', { topics: 'x'.repeat(250) }, `"${'x'.repeat(250)}"`],
    ['topics[1]', { topics: ['a', 7] }, '7'],
    ['topics[0]', { topics: [null, 'a'] }, 'null'],
    ['handler', { handler: undefined }, 'undefined'],
    ['handler', { handler: 'text' }, '"text"'],
    ['batchHandler', { handler: undefined, batchHandler: 5 }, '5'],
    ['batchHandler', { batchHandler: handler }, 'a function'],
    ['batch', { batch: { maxRecords: 5 } }, 'an object (Object)'],
    ['batch.maxRecords', { handler: undefined, batchHandler: handler, batch: { maxRecords: 0 } }, '0'],
    ['batch.maxWaitMs', { handler: undefined, batchHandler: handler, batch: { maxWaitMs: -1 } }, '-1'],
    ['concurrency', { concurrency: stopPolicy }, 'an object (Object)'],
    ['concurrency', { concurrency: 'serial' }, '"serial"'],
    ['onFailure', { onFailure: perPartitionStrategy }, 'an object (Object)'],
    ['delivery', { delivery: null }, 'null'],
    ['plugins', { plugins: {} }, 'an object (Object)'],
    ['plugins[1]', { plugins: [{ name: 'one' }, 'two'] }, '"two"'],
    ['value', { value: JSON.parse }, 'a function'],
    ['key', { key: {} }, 'an object (Object)'],
    ['name', { name: '' }, '""'],
    ['groupProtocol', { groupProtocol: 'eager' }, '"eager"'],
    ['groupInstanceId', { groupInstanceId: '' }, '""'],
    ['startFrom', { startFrom: 'beginning' }, '"beginning"'],
    ['startFrom', { startFrom: new Date(Number.NaN) }, 'an object (Date)'],
    ['startFrom', { startFrom: 0 }, '0'],
    ['onOffsetOutOfRange', { onOffsetOutOfRange: 'skip' }, '"skip"'],
    ['commit.everyMs', { commit: { everyMs: 0 } }, '0'],
    ['commit.everyMs', { commit: { everyMs: Number.POSITIVE_INFINITY } }, 'Infinity'],
    ['commit.everyMs', { commit: { everyMs: '5' } }, '"5"'],
    ['commit.everyRecords', { commit: { everyRecords: 1.5 } }, '1.5'],
    ['limits.inFlightRecords', { limits: { inFlightRecords: 0 } }, '0'],
    ['limits.inFlightBytes', { limits: { inFlightBytes: Number.NaN } }, 'NaN'],
    ['limits.aheadOfFrontier', { limits: { aheadOfFrontier: 2 ** 60 } }, `${2 ** 60}`],
    ['revokeDrainMs', { revokeDrainMs: -1 }, '-1'],
    ['onAssigned', { onAssigned: 'x' }, '"x"'],
    ['onRevoked', { onRevoked: 3 }, '3'],
    ['stallMs', { stallMs: 0 }, '0'],
    ['connectTimeoutMs', { connectTimeoutMs: 0 }, '0'],
    ['logger', { logger: { info: handler } }, 'an object (Object)'],
    ['clock', { clock: Date }, 'a function'],
    ['random', { random: 0.5 }, '0.5'],
  ])('are refused with the path, what was expected and what came: %s as %j', (option, wrong, received) => {
    const error = refusal({ ...required, ...wrong });
    expect(error.option).toBe(option);
    expect(error.message).toMatch(/: expected .+, received /);
    expect(error.message.startsWith(`${option}: expected `)).toBe(true);
    expect(error.message.endsWith(`received ${received}`)).toBe(true);
  });

  it.each<[string, object]>([
    ['concurrency.lanes', { lanes: undefined }],
    ['concurrency.lanes.by', { lanes: { by: 'colour', active: 1, inside: { width: 1 } } }],
    ['concurrency.lanes.active', { lanes: { by: 'all', active: 0, inside: { width: 1 } } }],
    ['concurrency.lanes.inside', { lanes: { by: 'all', active: 1 } }],
    ['concurrency.lanes.inside', { lanes: { by: 'all', active: 1, inside: 5 } }],
    ['concurrency.lanes.inside.width', { lanes: { by: 'all', active: 1, inside: { width: 0.5 } } }],
    [
      'concurrency.lanes.inside.active',
      { lanes: { by: 'all', active: 1, inside: { by: 'all', active: -1, inside: { width: 1 } } } },
    ],
    [
      'concurrency.lanes.inside.inside.width',
      { lanes: { by: 'all', active: 1, inside: { by: 'partition', active: 1, inside: { width: '1' } } } },
    ],
  ])('name the place inside of a strategy that the scheduler cannot execute: %s', (option, strategy) => {
    const error = refusal({ ...required, concurrency: { kind: 'concurrency', name: 'own', ...strategy } });
    expect(error.option).toBe(option);
  });

  it.each([undefined, null, 5, 'text'])('are refused when they are no object: %p', (options) => {
    expect(() => resolveWorkerOptions(options as unknown as WorkerOptions)).toThrow(InvalidOptionError);
  });

  it('are refused when one is unknown, with those that there are', () => {
    const error = refusal({ ...required, handlers: handler });
    expect(error.option).toBe('handlers');
    expect(error.message).toContain('batchHandler');
  });

  // A misspelt limit is silently no limit.
  it.each<[string, object]>([
    ['commit.every', { commit: { every: 5 } }],
    ['limits.inflightRecords', { limits: { inflightRecords: 5 } }],
    ['batch.size', { handler: undefined, batchHandler: handler, batch: { size: 5 } }],
    ['commit', { commit: 1_000 }],
    ['limits', { limits: 'none' }],
  ])('are refused when one inside of another is unknown or no object: %s', (option, wrong) => {
    expect(refusal({ ...required, ...wrong }).option).toBe(option);
  });

  it('take topics by name and by regular expression, one or several', () => {
    const topics = (given: WorkerOptions['topics']): readonly (string | RegExp)[] =>
      resolveWorkerOptions({ ...required, topics: given }).topics;
    expect(topics('a.b_c-1')).toEqual(['a.b_c-1']);
    expect(topics(/^a/)).toEqual([/^a/]);
    expect(topics(['a', /b/i])).toEqual(['a', /b/i]);
  });

  it('take the memory out of a regular expression, which would match every second time', () => {
    const given = /a/gy;
    const [pattern] = resolveWorkerOptions({ ...required, topics: given }).topics as RegExp[];
    expect([pattern?.test('a'), pattern?.test('a'), pattern?.test('xa')]).toEqual([true, true, true]);
    expect(pattern).not.toBe(given);
  });

  it('are checked by the constructor of the worker, before anything is connected', () => {
    expect(() => new Worker({ ...required, groupId: '' })).toThrow(InvalidOptionError);
  });
});

describe('the types of worker options', () => {
  const orderSchema = {
    '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) },
  } as StandardSchema<{ id: string; amount: number }>;
  const inTransaction: Delivery<{ readonly transaction: { query(sql: string): Promise<void> } }> = {
    ...{ kind: 'delivery', name: 'test' },
    open: () => Promise.reject(new Error('not here')),
  };

  it('give the handler bytes unless a deserializer says otherwise', () => {
    new Worker({ ...required, handler: (record) => expectTypeOf(record).toEqualTypeOf<KafkaRecord>() });
    new Worker({
      ...{ kafka, groupId: 'g', topics: ['orders', /^audit\./], value: json(orderSchema), key: string() },
      handler: (record, { signal, attempt }) => {
        expectTypeOf(record.value).toEqualTypeOf<{ id: string; amount: number }>();
        expectTypeOf(record.key).toEqualTypeOf<string | null>();
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        expectTypeOf(attempt).toEqualTypeOf<number>();
      },
    });
  });

  it('give the batch handler an array of those, and a way to fail one of them', () => {
    new Worker({
      ...{ kafka, groupId: 'g', topics: 't', value: json<{ n: number }>(), batch: { maxRecords: 5, maxWaitMs: 50 } },
      batchHandler: (records, { fail }) => {
        expectTypeOf(records).toEqualTypeOf<readonly KafkaRecord<{ n: number }>[]>();
        for (const record of records) fail(record, 'no');
      },
    });
  });

  it('add to the context what the delivery adds, and nothing without it', () => {
    new Worker({
      ...{ kafka, groupId: 'g', topics: 't', delivery: inTransaction },
      handler: async (_record, { transaction, send }) => {
        send({ topic: 'out', value: 'x' });
        await transaction.query('select 1');
      },
    });
    // @ts-expect-error no transaction in the context of at-least-once
    new Worker({ ...required, handler: (_record, { transaction }) => typeof transaction });
  });

  it('allow exactly one kind of handler, and batch options only with the one for batches', () => {
    const some = { kafka, groupId: 'g', topics: 't' } as const;
    // @ts-expect-error both handlers
    expect(() => new Worker({ ...some, handler, batchHandler: handler })).toThrow(InvalidOptionError);
    // @ts-expect-error no handler
    expect(() => new Worker({ ...some })).toThrow(InvalidOptionError);
    // @ts-expect-error batch without batchHandler
    expect(() => new Worker({ ...some, handler, batch: { maxRecords: 3 } })).toThrow(InvalidOptionError);
    // @ts-expect-error a failure policy is no concurrency
    expect(() => new Worker({ ...some, handler, concurrency: stopPolicy })).toThrow(InvalidOptionError);
    // @ts-expect-error no such option
    expect(() => new Worker({ ...some, handler, concurrent: 5 })).toThrow(InvalidOptionError);
  });

  it('give listeners the event that they listen to', () => {
    const worker = new Worker(required);
    const off = worker.on('settled', ({ outcome, attempts }) => {
      expectTypeOf(outcome).toEqualTypeOf<'handled' | 'skipped' | 'dead-lettered'>();
      expectTypeOf(attempts).toEqualTypeOf<number>();
    });
    off();
    // @ts-expect-error no such event
    expect(() => worker.on('settle', () => {})).toThrow(InvalidOptionError);
  });
});
