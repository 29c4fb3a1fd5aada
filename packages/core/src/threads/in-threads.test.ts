import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { string } from '../deserializer.ts';
import { IllegalStateError } from '../errors.ts';
import type { Failure } from '../failure.ts';
import type { HandlerContext } from '../handler.ts';
import { NonRetriableError, RetriableError } from '../handler-errors.ts';
import { isKafkaWorkerError } from '../kafka-worker-error.ts';
import { HeaderList, type OutgoingRecord, OwnedRecord } from '../record.ts';
import { retryPolicy } from '../retry-policy.ts';
import { embeddedKafka } from '../testing/embedded-kafka.ts';
import { type FakeKafka, fakeKafka } from '../testing/fake-kafka.ts';
import { always, laneStrategy, lanes } from '../testing/stage.ts';
import { Worker } from '../worker.ts';
import type { WorkerOptions } from '../worker-options.ts';
import { inThreads, type ThreadedHandler, type ThreadOptions } from './in-threads.ts';
import { piscinaNotLoaded } from './piscina-not-loaded.ts';

const file = new URL('../testing/threaded-handler-process.ts', import.meta.url);
const execArgv = ['--import', 'tsx', '--conditions=@kafka-worker/source'];
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
});

function threaded(options: ThreadOptions = {}, url = file): ThreadedHandler {
  const handler = inThreads(url, { execArgv, threads: 2, ...options });
  open.push(handler);
  return handler;
}

interface Logged {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A context whose call can be aborted, and which keeps what is logged and sent. */
class Call implements HandlerContext {
  readonly controller = new AbortController();
  readonly attempt = 3;
  readonly logged: Logged[] = [];
  readonly sent: OutgoingRecord[] = [];
  readonly log = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (message: string, fields = {}) => void this.logged.push({ level, message, fields }),
    ]),
  ) as unknown as HandlerContext['log'];

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  send = (message: OutgoingRecord): void => void this.sent.push(message);

  async said(message: string): Promise<void> {
    while (!this.logged.some((one) => one.message === message)) await sleep(5);
  }
}

function recordOf(value: string): OwnedRecord {
  return new OwnedRecord('t', 1, 42, 1_234, Buffer.from('k'), Buffer.from(value), new HeaderList([]));
}

async function failureOf(handler: ThreadedHandler, value: string, call = new Call()): Promise<unknown> {
  try {
    await handler(recordOf(value), call);
  } catch (thrown) {
    return thrown;
  }
  throw new Error(`${value} did not fail`);
}

/** A worker on a cluster in memory that has these records, one topic of two partitions. */
function workerOf(
  handler: ThreadedHandler,
  values: readonly string[],
  options: Partial<WorkerOptions> = {},
): {
  kafka: FakeKafka;
  worker: Worker;
  failures: Failure[];
  settled: string[];
  until: (records: number) => Promise<void>;
} {
  const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 } } });
  kafka.send(values.map((value, i) => ({ topic: 't', partition: i % 2, key: `k${i % 6}`, value })));
  const worker = new Worker({ kafka, groupId: 'g', topics: 't', ...options, handler } as WorkerOptions);
  worker.finished.catch(() => {});
  open.push(worker);
  const failures: Failure[] = [];
  const settled: string[] = [];
  worker.on('failed', (failure) => void failures.push(failure));
  worker.on('settled', ({ record, outcome }) => void settled.push(`${String(record.value)} ${outcome}`));
  const until = async (records: number): Promise<void> => {
    while (settled.length < records) await sleep(5);
  };
  return { kafka, worker, failures, settled, until };
}

describe('a handler in threads', () => {
  it('gets a plain copy of its record: bytes as Buffers of their own, headers as pairs', async () => {
    const shared = Buffer.concat([Buffer.from('tell'), Buffer.alloc(100_000)]);
    const headers = new HeaderList([
      ['a', Buffer.from('1')],
      ['a', null],
    ]);
    const call = new Call();
    await threaded()(new OwnedRecord('t', 1, 42, 1_234, null, shared.subarray(0, 4), headers), call);
    expect(call.logged).toEqual([
      {
        ...{ level: 'warn', message: 'got' },
        fields: {
          ...{ topic: 't', partition: 1, offset: 42, timestamp: 1_234, key: null, pinned: 4 },
          ...{ isBuffer: [false, true, true, false] },
          headers: [
            ['a', new Uint8Array([49])],
            ['a', null],
          ],
        },
      },
    ]);
    expect(shared.subarray(0, 4).toString()).toBe('tell');
  });

  it('runs in as many threads as there are, beside the main one, with the attempt that it is', async () => {
    const handler = threaded({ threads: 2 });
    const threadsOf = ({ logged }: Call): unknown[] => [...new Set(logged.map(({ fields }) => fields.threadId))];
    const spins = (call: Call, ms: number): Promise<unknown> =>
      Promise.all(Array.from({ length: 4 }, () => handler(recordOf(`spin: ${ms}`), call)));
    const warmUp = new Call();
    while (threadsOf(warmUp).length < 2) await spins(warmUp, 50);
    const call = new Call();
    await spins(call, 200);
    expect(threadsOf(call).sort()).toEqual(threadsOf(warmUp).sort());
    expect(threadsOf(call)).not.toContain(0);
    const spans = call.logged.map(({ fields }) => fields as { readonly start: number; readonly end: number });
    const atOnce = spans.map(({ start }) => spans.filter((other) => other.start <= start && other.end > start).length);
    expect(Math.max(...atOnce)).toBe(2);
    expect(call.logged[0]?.fields.attempt).toBe(3);
  });

  it('sends through its context, and its log lines harm nothing', async () => {
    const handler = threaded();
    const call = new Call();
    await handler(recordOf('send: out'), call);
    expect(call.sent).toEqual([{ topic: 'out', key: 'k', value: 'from thread true', headers: [['h', 'x']] }]);
    await handler(recordOf('log what cannot be cloned'), call);
    expect(call.logged).toEqual([{ level: 'error', message: 'fields', fields: { fields: '{ f: [Function: f] }' } }]);
  });

  it('fails with what cannot be sent, when it has returned', async () => {
    const call = new Call();
    call.send = () => {
      throw new IllegalStateError('not this one');
    };
    expect(await failureOf(threaded(), 'send: out', call)).toMatchObject({ message: 'not this one' });
  });

  it('takes no batches', async () => {
    await expect(threaded()([recordOf('tell')] as never, new Call())).rejects.toThrow('inThreads() is no batchHandler');
  });

  it('cannot be given what cannot be cloned: no retry would help', async () => {
    const record = { topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, headers: [], value: () => {} };
    const failed = threaded()(record as never, new Call());
    await expect(failed).rejects.toBeInstanceOf(NonRetriableError);
    await expect(failed).rejects.toThrow('cannot be given to a thread');
  });
});

describe('an error in a thread', () => {
  it('comes over with its name, message, stack, code and cause', async () => {
    const error = (await failureOf(threaded(), 'fail')) as Error & { code: string };
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'TypeError', message: 'no such order', code: 'E_ORDER' });
    expect(error.stack).toContain('threaded-handler-process.ts');
    expect(error.cause).toMatchObject({ name: 'Error', message: 'because' });
    expect(isKafkaWorkerError(error)).toBe(false);
    expect(Object.keys(error)).toEqual(['code']);
  });

  it('stays what it is of this library, so that policies know it', async () => {
    const handler = threaded();
    const final = await failureOf(handler, 'final');
    expect(final).toBeInstanceOf(NonRetriableError);
    expect(final).toMatchObject({ message: 'never', code: 'NON_RETRIABLE', retriable: false, cause: 'a reason' });
    const later = await failureOf(handler, 'later');
    expect(later).toBeInstanceOf(RetriableError);
    expect(later).toMatchObject({ code: 'RETRIABLE', retriable: true, retryAfterMs: 7 });
    expect([final, later].map(isKafkaWorkerError)).toEqual([true, true]);
  });

  it('need not be an Error: the value comes over, or the text of what cannot', async () => {
    const handler = threaded();
    expect(await failureOf(handler, 'text')).toBe('just text');
    expect(await failureOf(handler, 'function')).toMatch(/=>/);
  });

  it('that ends the thread fails its record only, and the next one has a new thread', async () => {
    const handler = threaded({ threads: 1 });
    for (const [deed, why] of [
      ['exit', 'the thread ended while it handled the record: worker exited with code: 7'],
      ['uncaught', 'nobody catches this'],
    ] as const) {
      expect(await failureOf(handler, deed)).toMatchObject({ message: why });
      const call = new Call();
      await handler(recordOf('spin: 1'), call);
      expect(call.logged).toHaveLength(1);
    }
  });
});

describe('an aborted signal', () => {
  it.each(['wait', 'listen', 'loop until aborted'])('reaches the thread: %s', async (deed) => {
    const handler = threaded({ threads: 1 });
    const call = new Call();
    const failed = failureOf(handler, deed, call);
    await call.said('waiting');
    await sleep(50);
    call.controller.abort(new IllegalStateError('the partition was revoked'));
    const startedAt = performance.now();
    const error = (await failed) as Error;
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(deed === 'wait' ? error.cause : error).toMatchObject({ message: 'the partition was revoked' });
    // The thread has lived through it.
    await handler(recordOf('tell'), new Call());
  });

  it('ends the thread of a handler that ignores it, some seconds later', async () => {
    const handler = threaded({ threads: 1 });
    const call = new Call();
    const failed = failureOf(handler, 'loop for ever', call);
    await call.said('waiting');
    call.controller.abort(new IllegalStateError('its time is up'));
    const startedAt = performance.now();
    expect(await failed).toMatchObject({ message: 'its time is up' });
    expect(performance.now() - startedAt).toBeGreaterThan(4_900);
    await handler(recordOf('tell'), new Call());
  });

  it('takes a call that waits for a thread back at once', async () => {
    const handler = threaded({ threads: 1 });
    const first = new Call();
    const running = failureOf(handler, 'wait', first);
    await first.said('waiting');
    const second = new Call();
    const failed = failureOf(handler, 'tell', second);
    second.controller.abort(new IllegalStateError('not needed any more'));
    expect(await failed).toMatchObject({ message: 'not needed any more' });
    first.controller.abort();
    await running;
    expect(second.logged).toEqual([]);
    expect(await failureOf(handler, 'tell', second)).toMatchObject({ message: 'not needed any more' });
  });
});

describe('a worker with a handler in threads', () => {
  it('keeps the order of each key, in whatever thread its records are', async () => {
    const kafka = await embeddedKafka({ topics: { t: { partitions: 4 } } });
    const values = Array.from({ length: 120 }, (_, i) => `spin: ${(i * 7) % 5}`);
    await kafka.send(values.map((value, i) => ({ topic: 't', key: `k${i % 12}`, value })));
    const spans: { key: string; offset: number; start: number; end: number; threadId: number }[] = [];
    const keep = (message: string, fields?: object): void => {
      if (message === 'spun') spans.push(fields as (typeof spans)[number]);
    };
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', concurrency: laneStrategy(lanes.perKey), handler: threaded() },
      logger: { debug() {}, info: keep, warn() {}, error() {} },
    });
    await worker.start();
    while (spans.length < values.length) await sleep(20);
    expect(await worker.stop()).toMatchObject({ handled: values.length, failed: 0 });
    expect(new Set(spans.map(({ threadId }) => threadId)).size).toBe(2);
    for (const key of new Set(spans.map((span) => span.key))) {
      const own = spans.filter((span) => span.key === key).sort((a, b) => a.start - b.start);
      expect(own).toHaveLength(10);
      for (const [i, span] of own.entries()) {
        expect(span.offset).toBeGreaterThan(own[i - 1]?.offset ?? -1);
        expect(span.start).toBeGreaterThanOrEqual(own[i - 1]?.end ?? 0);
      }
    }
    const committed = [...(await kafka.committed('g', 't')).values()];
    expect(committed.reduce((sum, offset) => sum + offset, 0)).toBe(values.length);
    await kafka[Symbol.asyncDispose]();
  }, 60_000);

  it('fails and retries as any other: a crashed thread is tried again, what is final is not', async () => {
    const onFailure = retryPolicy({ maxAttempts: 2, backoff: { initialMs: 1 }, then: always({ do: 'skip' }) });
    const { worker, failures, settled, until } = workerOf(threaded(), ['exit', 'final', 'text', 'spin: 1'], {
      onFailure,
    });
    await worker.start();
    await until(4);
    const attempts = (value: string): number =>
      Math.max(0, ...failures.filter(({ record }) => String(record.value) === value).map(({ attempt }) => attempt));
    expect(['exit', 'final', 'text', 'spin: 1'].map(attempts)).toEqual([2, 1, 2, 0]);
    expect(settled.sort()).toEqual(['exit skipped', 'final skipped', 'spin: 1 handled', 'text skipped']);
    expect(await worker.stop()).toMatchObject({ handled: 1, failed: 3 });
  });

  it('sends from its thread, and commits what was acknowledged', async () => {
    const { kafka, worker, failures, until } = workerOf(threaded(), ['send: out', 'send: no such topic!'], {
      onFailure: always({ do: 'skip' }),
    });
    await worker.start();
    await until(2);
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(['from thread true']);
    expect(failures.map(({ error }) => (error as { code?: string }).code)).toEqual(['INVALID_OPTION']);
    await worker.stop();
    expect([...kafka.committed('g', 't').values()]).toEqual([1, 1]);
  });

  it('aborts it at the deadline of a stop, and leaves its record', async () => {
    const { kafka, worker } = workerOf(threaded(), ['wait']);
    await worker.start();
    while (worker.status().inFlightRecords === 0) await sleep(5);
    await sleep(100);
    const summary = await worker.stop({ timeoutMs: 50 });
    expect(summary).toMatchObject({ handled: 0, failed: 0, left: [{ partition: 0, offset: 0 }] });
    expect(kafka.committed('g', 't').get(0) ?? 0).toBe(0);
  });

  it('may give it copies of decoded values', async () => {
    const { worker, settled, until } = workerOf(threaded(), ['spin: 1'], { value: string() } as never);
    await worker.start();
    await until(1);
    expect(settled).toEqual(['spin: 1 handled']);
  });

  it('ends its threads when it ends; of several that share them the last one does', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'beats-'));
    const path = join(directory, 'beats');
    const grows = async (): Promise<boolean> => {
      const { size } = statSync(path);
      await sleep(200);
      return statSync(path).size > size;
    };
    const handler = threaded({ threads: 1 });
    const one = workerOf(handler, [`beat: ${path}`]);
    const other = workerOf(handler, ['spin: 1']);
    await Promise.all([one.worker.start(), other.worker.start()]);
    await Promise.all([one.until(1), other.until(1)]);
    while (!existsSync(path)) await sleep(5);
    await one.worker.stop();
    expect(await grows()).toBe(true);
    await other.worker.stop();
    expect(await grows()).toBe(false);
    rmSync(directory, { recursive: true });
  });
});

/** A file that a program beside its thread lets grow for as long as the thread is there, and that is never loaded. */
function beating(never: string): { url: URL; began: () => Promise<void>; grows: () => Promise<boolean> } {
  const directory = mkdtempSync(join(tmpdir(), 'beating-'));
  open.push({ [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }) });
  const [path, beats] = [join(directory, 'handler.mjs'), join(directory, 'beats')];
  writeFileSync(
    path,
    `import { appendFileSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    new Worker(
      \`const { appendFileSync } = require('node:fs'); setInterval(() => appendFileSync(${JSON.stringify(beats)}, '.'), 10);\`,
      { eval: true },
    );
    appendFileSync(${JSON.stringify(beats)}, '.');
    await new Promise((resolve) => setTimeout(resolve, 500));
    ${never}`,
  );
  const began = async (): Promise<void> => {
    while (!existsSync(beats)) await sleep(5);
  };
  const grows = async (): Promise<boolean> => {
    const { size } = statSync(beats);
    await sleep(300);
    return statSync(beats).size > size;
  };
  return { url: pathToFileURL(path), began, grows };
}

describe('a file that is no handler', () => {
  const start = async (url: URL): Promise<unknown> => {
    const { worker } = workerOf(threaded({}, url), []);
    return worker.start().catch((error: unknown) => error);
  };
  const expected = 'file: expected a module whose default export is a function (record, context)';

  it('makes the start reject when it exports no function', async () => {
    const error = await start(new URL('../clock.ts', import.meta.url));
    expect(error).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(`${expected}, and not of type undefined`),
    });
  });

  it('makes the start reject when it is not there, or throws', async () => {
    expect(await start(new URL('./missing.mjs', import.meta.url))).toMatchObject({
      message: expect.stringContaining(`${expected}, which loads in a thread (Cannot find`),
    });
    const directory = mkdtempSync(join(tmpdir(), 'throwing-'));
    const throwing = join(directory, 'handler.mjs');
    writeFileSync(throwing, "throw new Error('no configuration');");
    const error = await start(pathToFileURL(throwing));
    expect(error).toMatchObject({ cause: { message: 'no configuration' } });
    rmSync(directory, { recursive: true });
  });

  it.each(['await new Promise(() => {});', 'for (;;);'])(
    'makes the start reject when it is never loaded, and leaves no thread: %s',
    async (never) => {
      const { url, grows } = beating(never);
      const { worker } = workerOf(threaded({ threads: 1, loadTimeoutMs: 2_000 }, url), []);
      await expect(worker.start()).rejects.toMatchObject({
        ...{ code: 'INVALID_OPTION', option: 'file' },
        message: expect.stringContaining('has not been loaded within 2000 ms'),
      });
      expect(await grows()).toBe(false);
    },
  );

  it('does not outlive the stop of a worker that waits for it to load', async () => {
    const { url, grows, began } = beating('await new Promise(() => {});');
    const { worker } = workerOf(threaded({ threads: 1 }, url), []);
    const starting = worker.start().catch((error: unknown) => error);
    await began();
    expect(await grows()).toBe(true);
    expect(await worker.stop({ timeoutMs: 10 })).toMatchObject({ state: 'stopped', handled: 0 });
    expect(await grows()).toBe(false);
    expect(await starting).toMatchObject({ cause: { message: 'the threads were ended' } });
  });

  it('must not load the native client, and says where that runs', async () => {
    expect(await start(new URL('../testing/native-handler-process.ts', import.meta.url))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('the Kafka client runs on the main thread only'),
      cause: { code: 'ILLEGAL_STATE' },
    });
  });
});

describe('the arguments of inThreads', () => {
  it('say what loads TypeScript, where Node does not do it itself', () => {
    const { typescript } = process.features as { readonly typescript?: unknown };
    if (typescript) {
      expect(() => inThreads(file)).not.toThrow();
      return;
    }
    expect(() => inThreads(file)).toThrow(
      `file: expected JavaScript; or, with tsx installed, execArgv: ['--import', 'tsx'] beside a file in TypeScript, received "${file.href}"`,
    );
    expect(() => inThreads(file, { execArgv: ['--enable-source-maps'] })).toThrow('JavaScript');
  });

  it.each([
    ['./handler.js', {}, 'file'],
    [new URL('https://example.com/handler.js'), {}, 'file'],
    [new URL('./handler.js', import.meta.url), null, 'options'],
    [new URL('./handler.js', import.meta.url), { threads: 0 }, 'threads'],
    [new URL('./handler.js', import.meta.url), { threads: 1.5 }, 'threads'],
    [new URL('./handler.js', import.meta.url), { loadTimeoutMs: 0 }, 'loadTimeoutMs'],
    [new URL('./handler.js', import.meta.url), { execArgv: '--import tsx' }, 'execArgv'],
    [new URL('./handler.js', import.meta.url), { execArgv: [1] }, 'execArgv'],
  ])('are refused: %s %j', (url, options, option) => {
    expect(() => inThreads(url as URL, options as ThreadOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });

  it('are enough with a file alone: nothing is loaded or started before the worker starts', () => {
    const handler = inThreads(new URL('./missing.js', import.meta.url));
    expect(typeof handler).toBe('function');
    expect(availableParallelism()).toBeGreaterThan(0);
  });
});

describe('piscina that cannot be used', () => {
  it('is to be installed where it is not', () => {
    const message = "Cannot find package 'piscina' imported from /app/main.js";
    const cause = Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' });
    expect(piscinaNotLoaded(cause)).toMatchObject({
      ...{ code: 'MISSING_DEPENDENCY', message: 'inThreads() needs piscina: npm install piscina', cause },
    });
  });

  it('says why where it is installed and does not load', () => {
    expect(piscinaNotLoaded(new SyntaxError('odd')).message).toContain('is installed and does not load: odd');
  });
});
