import { describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from './errors.ts';
import { runUntilSignal } from './run-until-signal.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';

const place = { topic: 't', partition: 0 };

function idle(): Worker {
  return new Worker({
    kafka: fakeKafka({ topics: { t: { partitions: 1 } } }),
    groupId: 'g',
    topics: 't',
    handler() {},
  });
}

describe('what the methods of a worker are given', () => {
  it.each([
    ['options', null],
    ['options', 'drain'],
    ['mode', { mode: 'now' }],
    ['timeoutMs', { timeoutMs: -1 }],
  ])('stop throws for wrong %s: %j', async (option, options) => {
    const worker = idle();
    expect(() => worker.stop(options as never)).toThrow(InvalidOptionError);
    expect(() => worker.stop(options as never)).toThrow(`${option}: expected`);
    await worker.stop();
  });

  it.each([
    ['options', null],
    ['signal', { signal: 'x' }],
    ['signal', { signal: null }],
  ])('start rejects for wrong %s, and can be called again: %j', async (option, options) => {
    const worker = idle();
    const started = worker.start(options as never);
    await expect(started).rejects.toBeInstanceOf(InvalidOptionError);
    await expect(started).rejects.toMatchObject({ option });
    expect(worker.state).toBe('idle');
    await worker.stop();
  });

  it.each([
    ['partition', undefined, 0],
    ['partition.topic', { ...place, topic: '' }, 0],
    ['partition.partition', { ...place, partition: '0' }, 0],
    ['to', place, -1],
  ])('seek rejects for a wrong %s', async (option, partition, to) => {
    const sought = idle().seek(partition as never, to);
    await expect(sought).rejects.toBeInstanceOf(InvalidOptionError);
    await expect(sought).rejects.toMatchObject({ option });
  });

  it.each([
    ['target', {}, {}],
    ['target', undefined, {}],
    ['options', idle(), null],
    ['timeoutMs', idle(), { timeoutMs: '1s' }],
    ['onShutdown', idle(), { onShutdown: 'close' }],
    ['logger', idle(), { logger: {} }],
  ])('runUntilSignal rejects for a wrong %s', async (option, worker, options) => {
    const run = runUntilSignal(worker as Worker, options as never);
    await expect(run).rejects.toBeInstanceOf(InvalidOptionError);
    await expect(run).rejects.toMatchObject({ option });
  });
});
