import { describe, expect, it } from '@jest/globals';
import { CommitError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { TopicPartition } from '../record.ts';
import { Worker } from '../worker.ts';
import type { FakeKafka } from './fake-kafka.ts';
import { fakeKafka } from './fake-kafka.ts';
import { VirtualClock } from './virtual-clock.ts';

const PARTITIONS = 2;
const RECORDS = 6;
/** A second wave comes while the first one is handled. */
const SECOND_WAVE_MS = 120;
/** Behind two waves, the record that was compacted away and a gap each. */
const END = 2 * (RECORDS + 1);
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** At the await itself, and while handlers run after it. */
const DELAYS_MS = [0, 1, 17, 33];

interface Run {
  /** How many awaits there were until everything was committed. */
  readonly awaits: number;
  /** Offsets in the order in which they were handled, by partition. */
  readonly handled: ReadonlyMap<number, readonly number[]>;
}

/**
 * Runs a worker over a topic with gaps until everything is committed, and does something at its `at`th await (never, when undefined) or `delayMs` later.
 * Throws when an offset is committed before everything below it was handled.
 */
async function runWorker(at: number | undefined, delayMs: number, event: (kafka: FakeKafka) => void): Promise<Run> {
  const clock = new VirtualClock();
  const handled = new Map<number, number[]>();
  let broken: Error | undefined;
  let awaits = 0;
  const kafka = fakeKafka({
    clock,
    topics: { t: { partitions: PARTITIONS } },
    atAwait: ({ operation, offsets = [], groupId, sequence }) => {
      awaits = sequence;
      if (operation === 'commit') {
        for (const next of offsets)
          if (!isDone(kafka, next, handled))
            broken = new Error(`committed too far: ${next.partition} at ${next.offset}`);
      }
      if (groupId !== undefined && sequence === at) {
        const happen = (): void => {
          if (kafka.group('g').size > 0) event(kafka);
        };
        if (delayMs === 0) happen();
        else clock.setTimeout(happen, delayMs);
      }
    },
  });
  const sendWave = (): void => {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const sent = Array.from({ length: RECORDS }, (_, i) => ({ topic: 't', partition, value: `${i}` }));
      const [, second] = kafka.send(sent);
      if (second !== undefined) kafka.compact(second, second.offset);
      kafka.appendGap({ topic: 't', partition }, 1);
    }
  };
  sendWave();
  clock.setTimeout(sendWave, SECOND_WAVE_MS);
  const worker = new Worker({
    kafka,
    groupId: 'g',
    topics: 't',
    clock,
    logger: silent,
    random: () => 0.5,
    commit: { everyMs: 50 },
    limits: { inFlightRecords: 6 },
    handler: async ({ partition, offset }) => {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, 30));
      handled.set(partition, [...(handled.get(partition) ?? []), offset]);
    },
  });
  const started = worker.start();
  const ended = worker.finished.catch((error: unknown) => {
    broken ??= error as Error;
  });
  for (let i = 0; i < 400 && broken === undefined && !isCommitted(kafka); i++) await clock.advance(100);
  const committed = [...kafka.committed('g', 't')];
  const stopping = worker.stop();
  await clock.advance(60_000);
  const summary = await stopping;
  await Promise.all([started, ended]);
  if (broken !== undefined) throw broken;
  if (summary.error !== undefined) throw summary.error;
  expect(committed.sort()).toEqual([
    [0, END],
    [1, END],
  ]);
  expect(clock.pendingTimers).toBe(0);
  return { awaits, handled };
}

/** Whether every record below an offset has been handled. */
function isDone(
  kafka: FakeKafka,
  next: TopicPartition & { offset: number },
  handled: ReadonlyMap<number, readonly number[]>,
): boolean {
  const below = kafka
    .records('t')
    .filter(({ partition, offset }) => partition === next.partition && offset < next.offset);
  return below.every(({ offset }) => handled.get(next.partition)?.includes(offset) ?? false);
}

function isCommitted(kafka: FakeKafka): boolean {
  const committed = kafka.committed('g', 't');
  return [0, 1].every((partition) => committed.get(partition) === END);
}

/** Gives back what was taken, when everything has been answered. */
function later(kafka: FakeKafka, run: () => void): void {
  kafka.clock.setTimeout(run, 500);
}

const events: Record<string, (kafka: FakeKafka) => void> = {
  'nothing happens': () => {},
  'all partitions are revoked': (kafka) => {
    kafka.group('g').revoke();
    later(kafka, () => kafka.group('g').rebalance());
  },
  'one partition is revoked and given back': (kafka) => {
    if (kafka.group('g').assignment().length === 0) return;
    kafka.group('g').revoke([{ topic: 't', partition: 1 }]);
    later(kafka, () => kafka.group('g').rebalance());
  },
  'all partitions are lost': (kafka) => {
    kafka.group('g').lose();
    later(kafka, () => kafka.group('g').rebalance());
  },
  'the member is expelled': (kafka) => kafka.group('g').kick(),
  'the next commit fails': (kafka) => kafka.failCommits(1, { kafkaCode: 27, retriable: true }),
  'the answer to the next commit is lost': (kafka) => {
    kafka.fail('commit-answer', 1, ({ offsets = [] }) => {
      const failures = offsets.map(({ topic, partition, offset }) => ({
        topic,
        partition,
        offset,
        kafkaCode: 7,
        reason: 'lost',
      }));
      return new CommitError(failures, { retriable: true });
    });
  },
  'the brokers are away for five seconds': (kafka) => {
    const end = kafka.outage();
    kafka.clock.setTimeout(end, 5_000);
  },
};

describe.each(Object.entries(events))('when %s at any await', (_name, event) => {
  it('a worker handles every record, commits none too early, and ends with everything committed', async () => {
    const { awaits } = await runWorker(undefined, 0, () => {});
    const failures: string[] = [];
    for (let at = 0; at <= awaits; at++) {
      for (const delayMs of DELAYS_MS) {
        try {
          const { handled } = await runWorker(at, delayMs, event);
          for (let partition = 0; partition < PARTITIONS; partition++) {
            const offsets = [...new Set(handled.get(partition))].sort((a, b) => a - b);
            expect(offsets).toEqual([0, 2, 3, 4, 5, 7, 9, 10, 11, 12]);
          }
        } catch (error) {
          failures.push(`at await ${at} and ${delayMs} ms: ${(error as Error).stack}`);
        }
      }
    }
    expect(failures).toEqual([]);
  });
});
