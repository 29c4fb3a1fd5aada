import { describe, expect, it } from '@jest/globals';
import { IllegalStateError, InvalidOptionError } from './errors.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { always } from './testing/stage.ts';
import { Worker } from './worker.ts';
import { type AnyWorker, WorkerGroup } from './worker-group.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A cluster with a topic for each worker, and a worker for each topic. */
function clusterWith(...topics: readonly string[]): FakeKafka {
  const kafka = fakeKafka({ topics: Object.fromEntries(topics.map((topic) => [topic, { partitions: 1 }])) });
  for (const topic of topics)
    kafka.send([
      { topic, value: 'a' },
      { topic, value: 'b' },
    ]);
  return kafka;
}

function workerOf(kafka: FakeKafka, topic: string, handler: () => unknown = () => {}): Worker {
  return new Worker({
    ...{ kafka, topics: topic, groupId: topic, name: topic, handler, clock: kafka.clock, logger: quiet },
    onFailure: always({ do: 'stop' }),
  });
}

/** Handlers that take so long. */
function taking(kafka: FakeKafka, ms: number): () => Promise<void> {
  return () => new Promise((resolve) => void kafka.clock.setTimeout(resolve, ms));
}

function failsOn(call: number): () => void {
  let calls = 0;
  return () => {
    calls++;
    if (calls === call) throw new Error(`call ${call} fails`);
  };
}

async function started(kafka: FakeKafka, ...workers: AnyWorker[]): Promise<WorkerGroup> {
  const group = new WorkerGroup(workers);
  const starting = group.start();
  starting.catch(() => {});
  await kafka.clock.advance(10);
  await starting;
  return group;
}

describe('WorkerGroup', () => {
  it('starts its workers together, and stops them together', async () => {
    const kafka = clusterWith('a', 'b');
    const group = await started(
      kafka,
      workerOf(kafka, 'a', taking(kafka, 2_000)),
      workerOf(kafka, 'b', taking(kafka, 2_000)),
    );
    expect([group.state, group.workers.map(({ state }) => state)]).toEqual(['running', ['running', 'running']]);
    const stopping = group.stop();
    expect(group.stop()).toBe(stopping);
    await kafka.clock.advance(5_000);
    expect(await stopping).toMatchObject([
      { state: 'stopped', handled: 1 },
      { state: 'stopped', handled: 1 },
    ]);
    expect(await group.finished).toEqual(await stopping);
    expect([group.state, kafka.clock.pendingTimers]).toEqual(['stopped', 0]);
  });

  it('stops the others gracefully when one fails: each finishes its record, and the first error comes out', async () => {
    const kafka = clusterWith('a', 'b');
    const failing = async (): Promise<void> => {
      await taking(kafka, 1_000)();
      if (fails.value++ === 1) throw new Error('the second');
    };
    const fails = { value: 0 };
    const group = await started(kafka, workerOf(kafka, 'a', failing), workerOf(kafka, 'b', taking(kafka, 3_000)));
    const ended = expect(group.finished).rejects.toMatchObject({ code: 'HANDLER', topic: 'a' });
    await kafka.clock.advance(2_500);
    expect(group.state).toBe('draining');
    await kafka.clock.advance(3_000);
    await ended;
    expect([group.state, kafka.committed('b', 'b').get(0), kafka.committed('a', 'a').get(0)]).toEqual(['failed', 1, 1]);
  });

  it('stops the others when one ends by itself, which is no error', async () => {
    const kafka = clusterWith('a', 'b');
    const one = workerOf(kafka, 'a');
    const group = await started(kafka, one, workerOf(kafka, 'b'));
    void one.stop();
    await kafka.clock.advance(1_000);
    expect(await group.finished).toMatchObject([{ state: 'stopped' }, { state: 'stopped' }]);
  });

  it('rejects its start with the first error, and stops those that could be started', async () => {
    const kafka = clusterWith('a');
    const group = new WorkerGroup([workerOf(kafka, 'a'), workerOf(kafka, 'nowhere')]);
    const starting = expect(group.start()).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' });
    await kafka.clock.advance(10_000);
    await starting;
    await expect(group.finished).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' });
    expect([group.state, kafka.group('a').size, kafka.clock.pendingTimers]).toEqual(['failed', 0, 0]);
  });

  it('is stopped while it starts', async () => {
    const kafka = clusterWith('a');
    const group = new WorkerGroup([workerOf(kafka, 'a')]);
    const controller = new AbortController();
    const starting = expect(group.start({ signal: controller.signal })).rejects.toThrow('given up');
    controller.abort();
    await kafka.clock.advance(10_000);
    await starting;
    expect(await group.finished).toMatchObject([{ state: 'stopped' }]);
  });

  it('takes workers in and out at run time, and a removal is no ending', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    const [a, b, c] = [
      workerOf(kafka, 'a'),
      workerOf(kafka, 'b', taking(kafka, 1_000)),
      workerOf(kafka, 'c', failsOn(1)),
    ];
    const group = await started(kafka, a);
    const adding = group.add(b);
    await kafka.clock.advance(10);
    await adding;
    expect(group.workers).toEqual([a, b]);
    const removing = group.remove(b);
    await kafka.clock.advance(2_000);
    expect(await removing).toMatchObject({ state: 'stopped', handled: 1 });
    expect([group.state, group.workers]).toEqual(['running', [a]]);
    await expect(group.remove(b)).rejects.toBeInstanceOf(IllegalStateError);
    const failing = expect(group.finished).rejects.toMatchObject({ code: 'HANDLER', topic: 'c' });
    await group.add(c).catch(() => {});
    await kafka.clock.advance(5_000);
    await failing;
    expect(a.state).toBe('stopped');
  });

  it('ends with an error when a handler of one that is removed never returns: only the end of the process frees what it keeps', async () => {
    const kafka = clusterWith('a', 'b');
    const hanging = workerOf(kafka, 'b', () => new Promise(() => {}));
    const group = await started(kafka, workerOf(kafka, 'a'), hanging);
    const ended = expect(group.finished).rejects.toMatchObject({ code: 'SHUTDOWN_TIMEOUT' });
    const removing = group.remove(hanging, { timeoutMs: 1_000 });
    await kafka.clock.advance(60_000);
    expect(await removing).toMatchObject({ stuck: [{ topic: 'b', partition: 0, offset: 0 }] });
    await ended;
    expect([group.state, await group.stop()]).toMatchObject([
      'failed',
      [{ state: 'stopped' }, { state: 'failed', stuck: [{ topic: 'b' }] }],
    ]);
  });

  it('goes on when one is taken out while it starts: a removal is no ending', async () => {
    const kafka = clusterWith('a', 'b');
    const [a, b] = [workerOf(kafka, 'a'), workerOf(kafka, 'b')];
    const group = new WorkerGroup([a, b]);
    const starting = group.start();
    const removing = group.remove(b);
    await kafka.clock.advance(10_000);
    await starting;
    expect(await removing).toMatchObject({ state: 'stopped' });
    expect([group.state, a.state, group.workers]).toEqual(['running', 'running', [a]]);
    const stopping = group.stop();
    await kafka.clock.advance(1_000);
    expect(await stopping).toMatchObject([{ state: 'stopped', handled: 2 }]);
  });

  it('waits at its end for one that is being removed', async () => {
    const kafka = clusterWith('a', 'b');
    const slow = workerOf(kafka, 'b', taking(kafka, 5_000));
    const group = await started(kafka, workerOf(kafka, 'a'), slow);
    const removing = group.remove(slow);
    const stopping = group.stop();
    await kafka.clock.advance(4_000);
    expect([group.state, slow.state]).toEqual(['draining', 'draining']);
    await kafka.clock.advance(3_000);
    await Promise.all([removing, stopping]);
    expect(await stopping).toHaveLength(1);
  });

  it('goes on without a worker that could not be added', async () => {
    const kafka = clusterWith('a');
    const group = await started(kafka, workerOf(kafka, 'a'));
    const adding = expect(group.add(workerOf(kafka, 'nowhere'))).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' });
    await kafka.clock.advance(10_000);
    await adding;
    expect([group.state, group.workers.length]).toEqual(['running', 1]);
    const stopping = group.stop();
    await kafka.clock.advance(1_000);
    expect(await stopping).toMatchObject([{ state: 'stopped' }]);
    await expect(group.add(workerOf(kafka, 'a'))).rejects.toBeInstanceOf(IllegalStateError);
  });

  it('is as live and as ready as the least of its workers, and names them', async () => {
    const kafka = clusterWith('a', 'b');
    const group = new WorkerGroup([workerOf(kafka, 'a'), workerOf(kafka, 'b')]);
    expect(group.health()).toEqual({ live: true, ready: false, reasons: ['a: not started', 'b: not started'] });
    const starting = group.start();
    await kafka.clock.advance(10);
    await starting;
    expect(group.health()).toEqual({ live: true, ready: true, reasons: [] });
    expect(group.status()).toMatchObject([{ name: 'a', partitions: [{ topic: 'a' }] }, { name: 'b' }]);
    const stopping = group.stop();
    expect(group.health()).toMatchObject({ live: true, ready: false });
    await kafka.clock.advance(1_000);
    await stopping;
    expect(new WorkerGroup([]).health()).toEqual({ live: true, ready: false, reasons: ['the group has no workers'] });
  });

  it('refuses what is no worker, one that is in it already, and one that was started', async () => {
    const kafka = clusterWith('a');
    const worker = workerOf(kafka, 'a');
    const refused = (workers: unknown): unknown => {
      try {
        return new WorkerGroup(workers as AnyWorker[]);
      } catch (error) {
        return error instanceof InvalidOptionError ? error.option : error;
      }
    };
    expect([refused(5), refused([{}]), refused([worker, worker])]).toEqual(['workers', 'workers[0]', 'workers[1]']);
    await worker.stop();
    expect(refused([worker])).toBe('workers[0]');
    const group = new WorkerGroup([]);
    expect(() => group.stop({ mode: 'slow' as never })).toThrow(InvalidOptionError);
    await group.stop();
    await expect(group.start()).rejects.toBeInstanceOf(IllegalStateError);
  });

  it('whose worker was started by somebody else meanwhile cannot be started, and leaves that one alone', async () => {
    const kafka = clusterWith('a', 'b');
    const [shared, own] = [workerOf(kafka, 'a'), workerOf(kafka, 'b')];
    const first = new WorkerGroup([shared]);
    const second = new WorkerGroup([shared, own]);
    const starting = first.start();
    const refused = expect(second.start()).rejects.toThrow('the worker is starting: it can be started once');
    await kafka.clock.advance(1_000);
    await Promise.all([starting, refused]);
    await expect(second.finished).rejects.toBeInstanceOf(IllegalStateError);
    expect([first.state, shared.state, second.state, own.state]).toEqual(['running', 'running', 'failed', 'stopped']);
    const stopping = first.stop();
    await kafka.clock.advance(1_000);
    await stopping;
  });

  it('is stopped by a signal that is aborted already, also when there is nothing to start yet', async () => {
    const group = new WorkerGroup([]);
    await expect(group.start({ signal: AbortSignal.abort(new Error('given up')) })).rejects.toThrow('given up');
    expect([group.state, await group.finished]).toEqual(['stopped', []]);
  });

  it('does not take in a worker that a listener throws at, and refuses a listener that is no function', async () => {
    const kafka = clusterWith('a');
    const worker = workerOf(kafka, 'a');
    const group = await started(kafka);
    const end = group.onWorker(() => {
      throw new Error('not this one');
    });
    await expect(group.add(worker)).rejects.toThrow('not this one');
    expect([group.workers, worker.state]).toEqual([[], 'idle']);
    end();
    expect(() => group.onWorker(5 as never)).toThrow(InvalidOptionError);
    await group.stop();
  });

  it('refuses another group, and options that are none', () => {
    expect(() => new WorkerGroup([new WorkerGroup([]) as unknown as AnyWorker])).toThrow(InvalidOptionError);
    expect(() => new WorkerGroup([], null as never)).toThrow(InvalidOptionError);
    expect(() => new WorkerGroup([], { name: 5 as never })).toThrow(InvalidOptionError);
  });

  it('stops its workers when it is disposed of', async () => {
    const kafka = clusterWith('a');
    const group = await started(kafka, workerOf(kafka, 'a'));
    const disposing = group[Symbol.asyncDispose]();
    await kafka.clock.advance(1_000);
    await disposing;
    expect(group.state).toBe('stopped');
  });
});
