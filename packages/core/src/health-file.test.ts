import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type HealthFileOptions, healthFile } from './health-file.ts';
import type { KafkaCluster } from './kafka-client.ts';
import { embeddedKafka } from './testing/embedded-kafka.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { sourceProgram } from './testing/source-program.ts';
import { always, Stage } from './testing/stage.ts';
import { Worker } from './worker.ts';
import { WorkerGroup } from './worker-group.ts';

const program = fileURLToPath(new URL('./testing/health-file-process.ts', import.meta.url));
const longAgo = new Date('2001-01-01');
let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'health-file-'));
  path = join(directory, 'live');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Makes the file old; true when it is new again after what follows. */
function age(): () => boolean {
  utimesSync(path, longAgo, longAgo);
  return () => statSync(path).mtimeMs > longAgo.getTime();
}

async function until(is: () => boolean, withinMs = 10_000): Promise<void> {
  for (let waited = 0; !is(); waited += 20) {
    if (waited > withinMs) throw new Error(`it did not happen within ${withinMs} ms`);
    await sleep(20);
  }
}

describe('a health file', () => {
  it('is there from the beginning, new when the worker starts, and touched whenever its loop turns', async () => {
    const stage = new Stage([['a']]);
    let file: Disposable | undefined;
    let isTouched = (): boolean => false;
    await stage.start({}, (worker) => {
      file = healthFile(worker, { path, everyMs: 1 });
      expect(existsSync(path)).toBe(true);
      isTouched = age();
      worker.on('state', ({ to }) => expect([to, isTouched()]).toEqual([to, true]));
    });
    for (let i = 0; i < 3; i++) {
      isTouched = age();
      await sleep(2);
      await stage.advance(1_000);
      expect(isTouched()).toBe(true);
    }
    expect(await stage.end()).toEqual([]);
    file?.[Symbol.dispose]();
    expect(existsSync(path)).toBe(false);
  });

  it('is made again when a probe has removed it', async () => {
    const stage = new Stage([[]]);
    await using _ = healthFile(await stage.start(), { path, everyMs: 1 });
    rmSync(path);
    await sleep(2);
    await stage.advance(1_000);
    expect(existsSync(path)).toBe(true);
    await stage.end();
  });

  it('is touched also while running handlers end', async () => {
    const stage = new Stage([['a']]);
    stage.hold('0@0');
    const worker = await stage.start();
    using _ = healthFile(worker, { path, everyMs: 1 });
    const stopping = worker.stop({ timeoutMs: 60_000 });
    const isTouched = age();
    await sleep(2);
    await stage.advance(2_000);
    expect(isTouched()).toBe(true);
    await stage.open('0@0');
    await stage.end();
    expect(await stopping).toMatchObject({ handled: 1 });
  });

  it('is not touched more often than it should be', async () => {
    const stage = new Stage([[]]);
    using _ = healthFile(await stage.start(), { path, everyMs: 60_000 });
    const isTouched = age();
    await stage.advance(10_000);
    expect(isTouched()).toBe(false);
    await stage.end();
  });

  it('is not touched while no poll comes back, although the event loop is free and timers run', async () => {
    const kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
    let hangs = false;
    const worker = new Worker({
      ...{ groupId: 'g', topics: 't' },
      kafka: hanging(kafka, () => hangs),
      handler: () => {},
    });
    using _ = healthFile(worker, { path, everyMs: 20 });
    await worker.start();
    const turns = age();
    await until(turns);
    hangs = true;
    await sleep(1_200);
    const isTouched = age();
    await sleep(1_500);
    expect(isTouched()).toBe(false);
    hangs = false;
    await until(isTouched);
    await worker.stop();
    await kafka[Symbol.asyncDispose]();
  });

  it('is not touched while the worker is not live, and not after it has failed', async () => {
    const stage = new Stage([['a']], { onFailure: always({ do: 'stop' }) });
    const worker = await stage.start();
    using _ = healthFile(worker, { path, everyMs: 1 });
    const { health } = worker;
    worker.health = () => ({ ...health.call(worker), live: false });
    const isTouched = age();
    await sleep(2);
    await stage.advance(3_000);
    expect(isTouched()).toBe(false);
    worker.health = health;
    await stage.advance(1_000);
    expect(isTouched()).toBe(true);
    stage.fail('0@1');
    stage.send(0, ['b']);
    await stage.advance(5_000);
    expect(worker.state).toBe('failed');
    const isTouchedLater = age();
    await sleep(2);
    await stage.advance(5_000);
    expect(isTouchedLater()).toBe(false);
  });

  it('that cannot be written is one warning, until it can be again, and harms nothing', async () => {
    const stage = new Stage([['a']]);
    const warnings: [string, object | undefined][] = [];
    const logger = {
      ...{ debug() {}, info() {}, error() {} },
      warn: (message: string, fields?: object) => void warnings.push([message, fields]),
    };
    const inside = join(directory, 'later', 'live');
    const file = healthFile(await stage.start(), { path: inside, everyMs: 1, logger });
    const turn = async (): Promise<void> => {
      await sleep(2);
      await stage.advance(1_000);
    };
    for (let i = 0; i < 3; i++) await turn();
    expect(warnings).toEqual([
      [
        'the health file cannot be written: probes that look at it will fail',
        { path: inside, error: expect.objectContaining({ message: expect.stringContaining('ENOENT') }) },
      ],
    ]);
    mkdirSync(join(directory, 'later'));
    await turn();
    expect(existsSync(inside)).toBe(true);
    rmSync(join(directory, 'later'), { recursive: true });
    await turn();
    await turn();
    expect(warnings).toHaveLength(2);
    expect(stage.handled).toEqual(['0@0']);
    file[Symbol.dispose]();
    expect(await stage.end()).toEqual([]);
  });

  it('is removed for good when it is disposed of, however often', async () => {
    const stage = new Stage([[]]);
    const file = healthFile(await stage.start(), { path, everyMs: 1 });
    file[Symbol.dispose]();
    await file[Symbol.asyncDispose]();
    await sleep(2);
    await stage.advance(3_000);
    expect(existsSync(path)).toBe(false);
    await stage.end();
  });

  it('that cannot be removed is a warning', async () => {
    const warnings: string[] = [];
    const logger = { debug() {}, info() {}, error() {}, warn: (message: string) => void warnings.push(message) };
    const kafka = fakeKafka();
    const worker = new Worker({ kafka, groupId: 'g', topics: 't', handler: () => {} });
    mkdirSync(path);
    healthFile(worker, { path, logger })[Symbol.dispose]();
    expect(warnings).toEqual([
      'the health file cannot be written: probes that look at it will fail',
      'the health file cannot be removed',
    ]);
  });
});

describe('a health file of a group', () => {
  it('listens to a worker for as long as that is running', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const options = { kafka, topics: 't', clock: kafka.clock, handler: () => {} };
    const [staying, passing] = [new Worker({ ...options, groupId: 'a' }), new Worker({ ...options, groupId: 'b' })];
    const listening = new Map<string, number>();
    const count = (worker: Worker, by: number): void =>
      void listening.set(worker.name, (listening.get(worker.name) ?? 0) + by);
    for (const worker of [staying, passing]) {
      const on = worker.on.bind(worker);
      worker.on = (...given) => {
        const end = on(...given);
        count(worker, 1);
        return () => {
          count(worker, -1);
          end();
        };
      };
    }
    const group = new WorkerGroup([staying, passing]);
    await using _ = healthFile(group, { path, everyMs: 1 });
    await group.start();
    const removing = group.remove(passing);
    await kafka.clock.advance(1_000);
    await removing;
    expect([...listening]).toEqual([
      ['a', 2],
      ['b', 0],
    ]);
    const stopping = group.stop();
    await kafka.clock.advance(1_000);
    await stopping;
  });

  it('is touched when the loops of all workers that run have turned, those among them that were added later', async () => {
    const kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
    let hangs = false;
    const one = (groupId: string, cluster: KafkaCluster): Worker =>
      new Worker({ kafka: cluster, groupId, topics: 't', handler: () => {} });
    const group = new WorkerGroup([one('g', kafka)]);
    using _ = healthFile(group, { path, everyMs: 20 });
    await group.start();
    await until(age());
    const added = one(
      'h',
      hanging(kafka, () => hangs),
    );
    await group.add(added);
    await until(age());
    hangs = true;
    await sleep(1_200);
    const isTouched = age();
    await sleep(1_500);
    expect(isTouched()).toBe(false);
    const removing = group.remove(added);
    await until(isTouched);
    hangs = false;
    await removing;
    await group.stop();
    await kafka[Symbol.asyncDispose]();
  });
});

describe('the event loop held by a handler', () => {
  it('leaves the health file as old as it was, until the handler has returned', async () => {
    const args = sourceProgram(program, path, '2500');
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const said: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
    try {
      await until(() => existsSync(path), 20_000);
      await until(age());
      child.stdin.write('go\n');
      await until(() => said.includes('blocked'));
      const isTouched = age();
      await sleep(2_000);
      expect({ isTouched: isTouched(), said }).toEqual({ isTouched: false, said: ['blocked'] });
      await until(() => said.includes('free'));
      await until(isTouched);
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      expect(await ended).toBe(0);
      expect(existsSync(path)).toBe(false);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the options of a health file', () => {
  const worker = new Worker({ kafka: fakeKafka(), groupId: 'g', topics: 't', handler: () => {} });

  it.each([
    [{}, 'path'],
    [{ path: '' }, 'path'],
    [{ path: 'x', everyMs: 0 }, 'everyMs'],
    [{ path: 'x', everyMs: '1s' }, 'everyMs'],
    [{ path: 'x', logger: {} }, 'logger'],
    [undefined, 'options'],
  ])('are refused as %j', (options, option) => {
    expect(() => healthFile(worker, options as HealthFileOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });

  it('go with a worker or a group', () => {
    expect(() => healthFile({} as never, { path })).toThrow(expect.objectContaining({ option: 'target' }));
  });
});

/** A cluster whose consumers give no poll back as long as it hangs. */
function hanging(kafka: KafkaCluster, hangs: () => boolean): KafkaCluster {
  return {
    ...{ kind: kafka.kind, brokers: kafka.brokers },
    producer: (options) => kafka.producer(options),
    transactionalProducer: (options) => kafka.transactionalProducer(options),
    admin: (options) => kafka.admin(options),
    consumer: (options) => {
      const consumer = kafka.consumer(options);
      const poll = consumer.poll.bind(consumer);
      consumer.poll = async (maxRecords, waitMs) => {
        const polled = await poll(maxRecords, waitMs);
        while (hangs()) await sleep(10);
        return polled;
      };
      return consumer;
    },
  };
}
