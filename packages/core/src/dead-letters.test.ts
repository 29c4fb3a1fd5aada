import { describe, expect, it } from '@jest/globals';
import { deadLetterHeaders } from './dead-letter-message.ts';
import { json } from './deserializer.ts';
import { ProduceError } from './errors.ts';
import type { Decision, FailurePolicy } from './failure.ts';
import type { KafkaRecord, OutgoingRecord } from './record.ts';
import { retryPolicy } from './retry-policy.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

const toDead: FailurePolicy = always({ do: 'dead-letter', topic: 'dead', brake: false });

function stageOf(keys: readonly (readonly (string | null)[])[], rest: StageOptions = {}): Stage {
  return new Stage(keys, { onFailure: toDead, ...rest });
}

function added(record: KafkaRecord | undefined): Record<string, string> {
  const own = new Set<string>(Object.values(deadLetterHeaders));
  return Object.fromEntries(
    [...(record?.headers ?? [])].filter(([name]) => own.has(name)).map(([n, v]) => [n, `${v}`]),
  );
}

function sourceOffsets(stage: Stage): string[] {
  return stage.dead().map((one) => String(one.headers.get(deadLetterHeaders.offset)));
}

describe('a dead letter', () => {
  it('has key, value and headers of its record byte for byte: null and empty, in order, also twice and without a value', async () => {
    const messages: Omit<OutgoingRecord, 'topic' | 'partition'>[] = [
      { key: null, value: null },
      { key: Buffer.alloc(0), value: Buffer.alloc(0) },
      { key: Buffer.from([0, 255, 128]), value: Buffer.from([255, 254, 0, 10]) },
      {
        value: 'v',
        headers: [
          ['b', Buffer.from([255, 0])],
          ['a', null],
          ['b', Buffer.alloc(0)],
          ['a', 'again'],
        ],
      },
    ];
    const stage = stageOf([[]]);
    const sent = stage.kafka.send(messages.map((one) => ({ ...at(0), ...one })));
    for (const { offset } of sent) stage.fail(`0@${offset}`);
    await stage.start();
    await stage.advance(2_000);
    const own = new Set<string>(Object.values(deadLetterHeaders));
    const dead = stage.dead().map(({ key, value, headers }) => ({
      ...{ key, value },
      // Its own come first.
      headers: [...headers].slice(0, -own.size),
    }));
    expect(dead).toEqual(sent.map(({ key, value, headers }) => ({ key, value, headers: [...headers] })));
    expect(stage.committed()).toBe(4);
    expect(await stage.end()).toEqual([]);
  });

  it('says where its record came from, how often and when it failed, and why', async () => {
    const onFailure = retryPolicy({ maxAttempts: 3, backoff: { initialMs: 1_000, jitter: 0 }, then: toDead });
    const stage = stageOf([[], ['a', 'b']], { onFailure });
    const startedAt = stage.kafka.clock.now();
    stage.failing.set('1@1', (attempt) => new TypeError(`no ${attempt}`));
    await stage.start();
    await stage.advance(10_000);
    const [letter] = stage.dead();
    const { errorStack, timestamp, firstFailedAt, lastFailedAt } = deadLetterHeaders;
    const headers = added(letter);
    expect(headers[errorStack]).toMatch(/^TypeError: no 3\n +at /);
    expect(Number(headers[timestamp])).toBe(startedAt);
    const firstAt = Number(headers[firstFailedAt]);
    expect(firstAt - startedAt).toBeLessThan(100);
    expect(Number(headers[lastFailedAt]) - firstAt).toBe(3_000);
    expect(headers).toMatchObject({
      'dead-letter.source.topic': 't',
      'dead-letter.source.partition': '1',
      'dead-letter.source.offset': '1',
      'dead-letter.group': 'g',
      'dead-letter.attempts': '3',
      'dead-letter.error.class': 'TypeError',
      'dead-letter.error.message': 'no 3',
    });
    expect(Object.keys(headers)).toHaveLength(11);
    expect(await stage.end()).toEqual([]);
  });

  it('bounds what an error says of itself', async () => {
    const stage = stageOf([['a']]);
    const error = new Error('x'.repeat(100_000));
    error.stack = 'y'.repeat(100_000);
    stage.fail('0@0', error);
    await stage.start();
    const [letter] = stage.dead();
    expect(letter?.headers.get(deadLetterHeaders.errorMessage)).toHaveLength(1_000 + '…'.length + 2);
    expect(letter?.headers.get(deadLetterHeaders.errorStack)).toHaveLength(4_000 + '…'.length + 2);
    await stage.end();
  });

  it.each<[string, unknown, string]>([
    ['a string', 'no', 'string'],
    ['null', null, 'null'],
    ['an object', { code: 7 }, 'Object'],
    ['an object without a prototype', Object.create(null), 'object'],
    ['an error whose message is no text', Object.assign(new RangeError('no'), { message: { a: 1 } }), 'RangeError'],
    ['an error whose stack is no text', Object.assign(new RangeError('no'), { stack: 5 }), 'RangeError'],
    ['an error with a name only', Object.assign(new Error('no'), { name: 'Rejected' }), 'Rejected'],
  ])('is written also when %s was thrown', async (_what, thrown, errorClass) => {
    const stage = stageOf([['a']]);
    stage.fail('0@0', thrown);
    await stage.start();
    await stage.advance(2_000);
    expect(added(stage.dead()[0])['dead-letter.error.class']).toBe(errorClass);
    expect(stage.committed()).toBe(1);
    expect(await stage.end()).toEqual([]);
  });

  it('goes through the plugins, as what handlers send does', async () => {
    const plugin = {
      name: 'marks',
      outgoing: (message: OutgoingRecord, source: KafkaRecord<unknown, unknown>) => ({
        ...message,
        headers: [['traced', `${source.partition}@${source.offset}`] as const],
      }),
    };
    const stage = stageOf([['a']], { plugins: [plugin] });
    stage.fail('0@0');
    await stage.start();
    expect(stage.dead().map(({ headers }) => String(headers.get('traced')))).toEqual(['0@0']);
    await stage.end();
  });

  it.each([false, true])(
    'stands for a record that could not be decoded, in its own bytes (in a batch: %s)',
    async (isBatch) => {
      const stage = stageOf([['a']], { value: json() as never, isBatch });
      stage.kafka.send([
        { ...at(0), value: 'no { json' },
        { ...at(0), value: '1' },
      ]);
      await stage.start();
      await stage.advance(2_000);
      expect(stage.dead().map(({ value }) => String(value))).toEqual(['no { json']);
      expect(added(stage.dead()[0])['dead-letter.error.class']).toBe('DeserializationError');
      expect(stage.handled).toEqual(['0@0', '0@2']);
      expect(stage.committed()).toBe(3);
      expect(await stage.end()).toEqual([]);
    },
  );
});

describe('a record with a dead letter', () => {
  it('is not settled, nor committed, nor passed by its lane, before the broker has acknowledged it', async () => {
    const stage = stageOf([['a', 'b'], ['c']]);
    stage.fail('0@0');
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    await stage.advance(20_000);
    // It is in the topic, and still not acknowledged.
    expect(stage.dead()).toHaveLength(1);
    expect(stage.calls).toEqual(['0@0', '1@0']);
    expect([stage.committed(0), stage.committed(1)]).toEqual([0, 1]);
    expect(stage.status(0)).toMatchObject({ nextOffset: 0, inFlight: 2, blockedBy: { offset: 0, attempt: 1 } });
    expect(stage.reasons()).toContain('t/0: offset 0: its dead letter could not be written to dead for 20 s');
    hold.release();
    await stage.advance(2_000);
    expect(stage.committed(0)).toBe(2);
    expect(stage.events).toEqual(['dead-lettered 0@0']);
    expect(stage.reasons()).toBe('');
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    ['that cannot be reached', true],
    ['that will never take it', false],
  ])(
    'waits for a broker %s: nothing is dropped, the others go on, and it is written in the end',
    async (_what, retriable) => {
      const stage = stageOf([['a', 'b'], ['c']]);
      stage.fail('0@0');
      stage.kafka.failSends(4, { retriable });
      await stage.start();
      await stage.advance(2_000);
      stage.send(1, ['d']);
      await stage.advance(100);
      expect(stage.calls).toEqual(['0@0', '1@0', '1@1']);
      expect(stage.committed(0)).toBe(0);
      expect(stage.events).toEqual([
        'dead-letter-failed 0@0 1',
        'dead-letter-failed 0@0 2',
        'dead-letter-failed 0@0 3',
      ]);
      expect(stage.reasons()).toMatch(
        /t\/0: offset 0: its dead letter could not be written to dead for \d s .*the test says so/,
      );
      await stage.advance(20_000);
      expect(stage.dead()).toHaveLength(1);
      expect(stage.calls.slice(3)).toEqual(['0@1']);
      expect(stage.committed(0)).toBe(2);
      expect(stage.events.at(-1)).toBe('dead-lettered 0@0');
      expect(await stage.end()).toEqual([]);
    },
  );

  it('waits for a topic that does not exist until it is created', async () => {
    const stage = stageOf([['a']], { onFailure: always({ do: 'dead-letter', topic: 'later' }) });
    stage.fail('0@0');
    await stage.start();
    await stage.advance(60_000);
    expect(stage.committed()).toBe(0);
    expect(stage.reasons()).toContain('unknown topic "later"');
    stage.kafka.createTopic('later');
    await stage.advance(60_000);
    expect(stage.kafka.records('later')).toHaveLength(1);
    expect(stage.committed()).toBe(1);
    expect(await stage.end()).toEqual([]);
  });

  it('is tried again later and later, half a minute apart at most', async () => {
    const stage = stageOf([['a']]);
    stage.fail('0@0');
    stage.kafka.failSends(1_000);
    await stage.start();
    const failedAt: number[] = [];
    stage.worker.on('dead-letter-failed', () => void failedAt.push(stage.kafka.clock.now()));
    await stage.advance(300_000);
    const waits = failedAt.slice(1).map((time, i) => time - (failedAt[i] ?? 0));
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(15_000);
    const summary = await stage.stop();
    expect(summary.left).toEqual([{ ...at(0), offset: 0 }]);
    expect(stage.kafka.clock.pendingTimers).toBe(0);
    expect(stage.broken).toEqual([]);
  });

  it('leaves everything else of an unordered strategy alone, and holds the commit', async () => {
    const stage = stageOf([['a', 'b', 'c']], { concurrency: laneStrategy(lanes.parallel) });
    stage.fail('0@1');
    const hold = stage.kafka.hold('send');
    await stage.start();
    await stage.advance(5_000);
    expect(stage.handled).toEqual(['0@0', '0@2']);
    expect(stage.committed()).toBe(1);
    hold.release();
    await stage.advance(2_000);
    expect(stage.committed()).toBe(3);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a dead letter whose partition is', () => {
  it('revoked while it is being written, is waited for, and its record is committed', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(5_000);
    expect(stage.kafka.group('g').assignment()).toEqual([at(0)]);
    hold.release();
    await stage.advance(100);
    expect(stage.kafka.group('g').assignment()).toEqual([]);
    expect(stage.committed()).toBe(1);
    expect(stage.calls).toEqual(['0@0']);
    stage.heal('0@0');
    stage.kafka.group('g').rebalance();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1']);
    expect(await stage.end()).toEqual([]);
  });

  it('revoked while its acknowledgement does not come, is left in time, and delivered again', async () => {
    const stage = stageOf([['a', 'b']], { revokeDrainMs: 2_000, stuckAfterMs: 1_000 });
    stage.fail('0@0');
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(10_000);
    expect(stage.kafka.group('g').assignment()).toEqual([]);
    expect(stage.committed()).toBe(0);
    stage.heal('0@0');
    stage.kafka.group('g').rebalance();
    await stage.advance(100);
    // The late acknowledgement belongs to an epoch that is over.
    hold.release();
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@0', '0@1']);
    expect(stage.committed()).toBe(2);
    expect(await stage.end()).toEqual([]);
  });

  it('revoked while it waits for its next write, is not waited for', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    stage.kafka.failSends(1_000);
    await stage.start();
    await stage.advance(20_000);
    const waited = stage.kafka.clock.now();
    let revokedAt = 0;
    stage.worker.on('revoked', () => {
      revokedAt = stage.kafka.clock.now();
    });
    // Just behind a write, so that none is under way.
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(1_000);
    expect(revokedAt - waited).toBeLessThan(1_000);
    expect(stage.committed()).toBe(0);
    expect(stage.reasons()).not.toContain('dead letter');
    expect(await stage.end()).toEqual([]);
  });

  it.each(['pending', 'being written'])('lost while it is %s, has no effect on who has it next', async (state) => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    const hold = state === 'pending' ? undefined : stage.kafka.hold('send-answer');
    if (hold === undefined) stage.kafka.failSends(3);
    await stage.start();
    stage.kafka.group('g').lose([at(0)]);
    await stage.advance(100);
    stage.heal('0@0');
    stage.kafka.group('g').rebalance();
    hold?.release();
    await stage.advance(5_000);
    expect(stage.handled).toEqual(['0@0', '0@1']);
    expect(stage.committed()).toBe(2);
    expect(await stage.end()).toEqual([]);
  });

  it('sought away while it is pending, is forgotten', async () => {
    const stage = stageOf([['a', 'b', 'c']]);
    stage.fail('0@0');
    stage.kafka.failSends(1_000);
    await stage.start();
    const sought = stage.worker.seek(at(0), 2);
    await stage.advance(2_000);
    await sought;
    expect(stage.calls).toEqual(['0@0', '0@2']);
    expect(stage.reasons()).toBe('');
    await stage.advance(60_000);
    expect(stage.events.filter((event) => event.startsWith('dead-letter-failed'))).toHaveLength(1);
    await stage.end();
    expect(stage.kafka.clock.pendingTimers).toBe(0);
  });
});

describe('a stop', () => {
  it('waits for a dead letter that is being written', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    const stopping = stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(5_000);
    expect(stage.worker.state).toBe('draining');
    hold.release();
    await stage.advance(10_000);
    expect(await stopping).toMatchObject({ state: 'stopped', failed: 1, left: [{ offset: 1 }] });
    expect(stage.committed()).toBe(1);
    expect(stage.broken).toEqual([]);
  });

  it('ends in time when its acknowledgement does not come, says so, and leaves the record', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    const { state, error, left } = await stage.stop({ timeoutMs: 2_000 });
    expect({ state, left }).toEqual({ state: 'failed', left: [{ ...at(0), offset: 0 }] });
    expect(error?.message).toBe(
      "the stop's 2000 ms were up with what has failed still waiting to be tried or written again",
    );
    expect(stage.committed()).toBe(0);
    hold.release();
    await stage.advance(10_000);
    expect(stage.committed()).toBe(0);
    expect(stage.broken).toEqual([]);
  });

  it('does not wait for one that waits for its next write', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    stage.kafka.failSends(1_000);
    await stage.start();
    expect(await stage.stop()).toMatchObject({ state: 'stopped', left: [{ offset: 0 }] });
    expect(stage.kafka.clock.pendingTimers).toBe(0);
    expect(stage.broken).toEqual([]);
  });

  it('writes the dead letter of a handler that fails while it is waited for', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    stage.hold('0@0');
    await stage.start();
    const stopping = stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(100);
    await stage.open('0@0');
    await stage.advance(10_000);
    expect(await stopping).toMatchObject({ state: 'stopped', failed: 1, left: [{ offset: 1 }] });
    expect(sourceOffsets(stage)).toEqual(['0']);
    expect(stage.broken).toEqual([]);
  });
});

describe('dead letters of a batch', () => {
  const batched = { isBatch: true, batch: { maxRecords: 3 } } as const;

  it('are written for every record when the handler throws', async () => {
    const stage = stageOf([['a', 'b', 'c', 'd']], batched);
    stage.fail('0@1');
    await stage.start();
    await stage.advance(2_000);
    expect(sourceOffsets(stage)).toEqual(['0', '1', '2']);
    expect(stage.handled).toEqual(['0@3']);
    expect(stage.committed()).toBe(4);
    expect(await stage.end()).toEqual([]);
  });

  it('are written for those that failed alone, and the next call of the lane waits for that', async () => {
    const stage = stageOf([['a', 'b', 'c', 'd']], batched);
    stage.failingAlone.set('0@1', new Error('no'));
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    await stage.advance(5_000);
    expect(stage.batches).toEqual(['0@0 0@1 0@2']);
    expect(stage.committed()).toBe(1);
    expect(stage.status()).toMatchObject({ nextOffset: 1, inFlight: 2 });
    hold.release();
    await stage.advance(2_000);
    expect(stage.batches).toEqual(['0@0 0@1 0@2', '0@3']);
    expect(sourceOffsets(stage)).toEqual(['1']);
    expect(stage.committed()).toBe(4);
    expect(await stage.end()).toEqual([]);
  });

  it('stop at the brake: what comes behind the record that it trips at is left', async () => {
    const onFailure = always({ do: 'dead-letter', topic: 'dead', brake: { maxConsecutive: 2 } });
    const stage = stageOf([['a', 'b', 'c', 'd']], { ...batched, onFailure });
    stage.fail('0@1');
    await stage.start();
    const summary = await stage.stop();
    expect(summary).toMatchObject({ state: 'failed', failed: 2, error: { code: 'DEAD_LETTER_BRAKE', offset: 1 } });
    expect(sourceOffsets(stage)).toEqual(['0']);
    expect(stage.committed()).toBe(1);
    expect(stage.broken).toEqual([]);
  });

  it('say how long their call took', async () => {
    const stage = stageOf([['a', 'b']], { ...batched });
    stage.failingAlone.set('0@0', new Error('no'));
    stage.durations.set('0@0', 40);
    const durations: number[] = [];
    await stage.start({}, (worker) => void worker.on('settled', ({ durationMs }) => void durations.push(durationMs)));
    await stage.advance(2_000);
    expect(durations).toEqual([40, 40]);
    await stage.end();
  });
});

describe('the brake', () => {
  const braked = (brake: Extract<Decision, { do: 'dead-letter' }>['brake']): FailurePolicy =>
    always({ do: 'dead-letter', topic: 'dead', ...(brake === undefined ? {} : { brake }) });
  const keys = (n: number): string[] => Array.from({ length: n }, (_, i) => `k${i}`);

  it('ends the worker when too many in a row fail, with the record that was too much not committed', async () => {
    const stage = stageOf([keys(10)], { onFailure: braked({ maxConsecutive: 4 }) });
    for (let i = 2; i < 10; i++) stage.fail(`0@${i}`);
    await stage.start();
    const summary = await stage.stop();
    expect(summary).toMatchObject({ state: 'failed', error: { code: 'DEAD_LETTER_BRAKE', ...at(0), offset: 5 } });
    expect(summary.error?.message).toBe(
      't/0 offset 5 is not written as a dead letter: 4 records in a row have failed in the partition. The last failure: 0@5 fails',
    );
    expect(sourceOffsets(stage)).toEqual(['2', '3', '4']);
    expect(stage.committed()).toBe(5);
    expect(stage.broken).toEqual([]);
  });

  it('counts also over all partitions', async () => {
    const stage = stageOf([keys(3), keys(3), keys(3)], { onFailure: braked({ maxConsecutive: 5 }) });
    for (let p = 0; p < 3; p++) for (let i = 0; i < 3; i++) stage.fail(`${p}@${i}`);
    await stage.start();
    const { error } = await stage.stop();
    expect(error?.message).toContain('5 records in a row have failed in the worker');
    expect(stage.dead()).toHaveLength(4);
  });

  const byRatio = { maxConsecutive: 1_000, maxRatio: 0.5, minRecords: 100 };

  it('ends the worker when too large a part of its records fails, as soon as enough of them are there to say so', async () => {
    const stage = stageOf([keys(300)], { onFailure: braked(byRatio) });
    for (let i = 1; i < 300; i += 2) stage.fail(`0@${i}`);
    await stage.start();
    await stage.advance(5_000);
    const summary = await stage.stop();
    // 0 to 99 are a hundred records, and the fiftieth of them to fail is the last one.
    expect(summary).toMatchObject({ state: 'failed', error: { code: 'DEAD_LETTER_BRAKE', ...at(0), offset: 99 } });
    expect(summary.error?.message).toContain('50 of 100 records within 60000 ms have failed in the partition');
    expect(stage.dead()).toHaveLength(49);
    expect(stage.committed()).toBe(99);
    expect(stage.broken).toEqual([]);
  });

  it.each([
    ['one of three records', byRatio, (i: number) => i % 3 === 2],
    ['two in a row where three are too many', { maxConsecutive: 3, maxRatio: 1 }, (i: number) => i % 3 !== 2],
  ])('never stops a worker of which %s fail, however long that goes on', async (_what, brake, fails) => {
    const stage = stageOf([keys(600)], { onFailure: braked(brake) });
    for (let i = 0; i < 600; i++) if (fails(i)) stage.fail(`0@${i}`);
    await stage.start();
    await stage.advance(20_000);
    expect(stage.committed()).toBe(600);
    expect(stage.dead()).toHaveLength(Array.from({ length: 600 }, (_, i) => i).filter(fails).length);
    expect(await stage.end()).toEqual([]);
  });

  it('holds for the one partition that fails, however well the others do', async () => {
    const stage = stageOf([keys(150), keys(600)], { onFailure: braked(byRatio) });
    for (let i = 0; i < 150; i++) stage.fail(`0@${i}`);
    await stage.start();
    await stage.advance(5_000);
    const summary = await stage.stop();
    expect(summary).toMatchObject({ state: 'failed', error: { code: 'DEAD_LETTER_BRAKE', ...at(0), offset: 99 } });
    expect(summary.error?.message).toContain('100 of 100 records within 60000 ms have failed in the partition');
    expect(stage.dead()).toHaveLength(99);
    // All together they are far below the ratio.
    expect(stage.handled).toHaveLength(600);
    expect([stage.committed(0), stage.committed(1)]).toEqual([99, 600]);
    expect(stage.broken).toEqual([]);
  });

  it('lets any number pass when it is off', async () => {
    const stage = stageOf([keys(300)], { onFailure: braked(false) });
    for (let i = 0; i < 300; i++) stage.fail(`0@${i}`);
    await stage.start();
    await stage.advance(60_000);
    expect(stage.dead()).toHaveLength(300);
    expect(stage.committed()).toBe(300);
    expect(await stage.end()).toEqual([]);
  });

  it('has limits of its own when none are given, also where some are undefined', async () => {
    for (const brake of [undefined, { maxConsecutive: undefined } as never]) {
      const stage = stageOf([keys(150)], { onFailure: braked(brake) });
      for (let i = 0; i < 150; i++) stage.fail(`0@${i}`);
      await stage.start();
      await stage.advance(5_000);
      await stage.stop();
      expect(stage.dead()).toHaveLength(99);
    }
  });
});

describe('where a dead letter goes', () => {
  it.each<[string, FailurePolicy['decide'], string]>([
    [
      'throws',
      () => {
        throw new Error('which?');
      },
      'threw',
    ],
    [
      'names no topic',
      () => ({ do: 'dead-letter', topic: 'a b' }),
      'said dead letter to "a b", which is no topic\'s name',
    ],
    ['names nothing', () => ({ do: 'dead-letter', topic: undefined as never }), "which is no topic's name"],
    [
      'names the topic of the record',
      () => ({ do: 'dead-letter', topic: 't' }),
      'said dead letter to t, where the record came from',
    ],
  ])('ends the worker when the policy %s, with the record not committed', async (_what, decide, why) => {
    const stage = stageOf([['a']], { onFailure: { kind: 'failure', name: 'odd', decide } });
    stage.fail('0@0');
    await stage.start();
    expect(await stage.stop()).toMatchObject({ state: 'failed', error: { code: 'HANDLER' }, left: [{ offset: 0 }] });
    expect(stage.errors[0]?.message).toContain(why);
    expect(stage.committed()).toBe(0);
  });

  it('is decided by plugins too: when one throws, the write has failed, and is tried again', async () => {
    let refusals = 2;
    const plugin = {
      name: 'refuses',
      outgoing: (message: OutgoingRecord) => {
        if (refusals-- > 0) throw new ProduceError('dead', 'not this one');
        return message;
      },
    };
    const stage = stageOf([['a']], { plugins: [plugin] });
    stage.fail('0@0');
    await stage.start();
    await stage.advance(10_000);
    expect(stage.events).toEqual(['dead-letter-failed 0@0 1', 'dead-letter-failed 0@0 2', 'dead-lettered 0@0']);
    expect(await stage.end()).toEqual([]);
  });
});
