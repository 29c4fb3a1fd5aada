import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AssignmentEvent, KafkaConsumer } from '../kafka-client.ts';
import { isKafkaWorkerError } from '../kafka-worker-error.ts';
import { stderrLogger } from '../logger.ts';
import type { TopicPartition } from '../record.ts';
import type { FakeKafka } from './fake-kafka.ts';
import { fakeKafka } from './fake-kafka.ts';

const PARTITIONS = 5;

type Step =
  | { readonly do: 'join' }
  | { readonly do: 'poll' | 'answer' | 'commit' | 'leave' | 'kick'; readonly who: number }
  | { readonly do: 'revoke' | 'lose' | 'give'; readonly who: number; readonly partition: number }
  | { readonly do: 'rebalance' };

const who = fc.nat(2);
const partition = fc.nat(PARTITIONS - 1);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('join' as const) }),
    fc.record({ do: fc.constantFrom('poll' as const, 'answer' as const, 'commit' as const), who }),
    fc.record({ do: fc.constantFrom('leave' as const, 'kick' as const), who }),
    fc.record({ do: fc.constantFrom('revoke' as const, 'lose' as const, 'give' as const), who, partition }),
    fc.record({ do: fc.constant('rebalance' as const) }),
  ),
  { maxLength: 60 },
);

/** A member that answers its events when it is told to, and knows what it holds. */
class Actor {
  readonly consumer: KafkaConsumer;
  readonly held = new Set<number>();
  readonly #unanswered: AssignmentEvent[] = [];
  readonly history: string[] = [];

  constructor(consumer: KafkaConsumer) {
    this.consumer = consumer;
  }

  async poll(): Promise<void> {
    const { events, errors } = await this.consumer.poll(10, 0);
    expect(errors).toEqual([]);
    for (const event of events) {
      this.history.push(`${event.type} ${event.partitions.map((p) => p.partition).join(',')}`);
      this.#unanswered.push(event);
    }
  }

  answer(): void {
    const event = this.#unanswered.shift();
    if (event === undefined) return;
    for (const { partition: number } of event.partitions) {
      // Each event ends the state that the one before it began.
      expect(this.held.has(number)).toBe(event.type !== 'assigned');
      if (event.type === 'assigned') this.held.add(number);
      else this.held.delete(number);
    }
    if (event.type === 'assigned') this.consumer.assign(event.partitions.map((p) => ({ ...p, offset: 0 })));
    else this.consumer.release(event.partitions);
  }
}

/** Runs steps; those that make no sense at the moment are left out. */
async function run(kafka: FakeKafka, plan: readonly Step[]): Promise<Actor[]> {
  const group = kafka.group('g');
  const actors: Actor[] = [];
  for (const step of plan) {
    const actor = 'who' in step ? actors[step.who] : undefined;
    if (step.do === 'join' && actors.length < 3) actors.push(await join(kafka));
    if (step.do === 'rebalance') group.rebalance();
    if (actor === undefined || !('who' in step)) continue;
    const owned = group.assignment(step.who).map((p) => p.partition);
    if (step.do === 'poll') await actor.poll();
    if (step.do === 'answer') actor.answer();
    if (step.do === 'kick') group.kick(step.who);
    if (step.do === 'give') group.assign([at(step.partition)], step.who);
    if (step.do === 'revoke' && owned.includes(step.partition)) {
      ignoreRefusal(() => group.revoke([at(step.partition)], step.who));
    }
    if (step.do === 'lose' && owned.includes(step.partition)) {
      ignoreRefusal(() => group.lose([at(step.partition)], step.who));
    }
    if (step.do === 'commit') {
      for (const number of actor.held) await actor.consumer.commit([{ ...at(number), offset: 1 }]).catch(mustBeRefusal);
    }
    if (step.do === 'leave') {
      await actor.consumer.close();
      actors.splice(step.who, 1);
    }
  }
  return actors;
}

async function join(kafka: FakeKafka): Promise<Actor> {
  const consumer = kafka.consumer({ groupId: 'g', groupProtocol: 'classic', clock: kafka.clock, logger: stderrLogger });
  await consumer.connect({ timeoutMs: 0 });
  consumer.subscribe(['t']);
  return new Actor(consumer);
}

function at(number: number): TopicPartition {
  return { topic: 't', partition: number };
}

/** A partition that a member still holds may be another's already. */
function ignoreRefusal(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!isKafkaWorkerError(error) || error.code !== 'ILLEGAL_STATE') throw error;
  }
}

function mustBeRefusal(error: unknown): void {
  expect(error).toMatchObject({ code: 'COMMIT', retriable: false });
}

describe('fakeKafka', () => {
  it('gives each partition to exactly one member once everybody has answered, whatever happened before', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const kafka = fakeKafka({ topics: { t: { partitions: PARTITIONS } } });
        const actors = await run(kafka, plan);
        if (actors.length === 0) actors.push(await join(kafka));
        kafka.group('g').rebalance();
        for (let round = 0; round < 12; round++) {
          for (const actor of actors) {
            await actor.poll();
            for (let i = 0; i < 10; i++) actor.answer();
          }
        }
        const held = actors.flatMap((actor) => [...actor.held]).sort();
        expect(held).toEqual(Array.from({ length: PARTITIONS }, (_, i) => i));
        for (const actor of actors) {
          for (const number of actor.held) await actor.consumer.commit([{ ...at(number), offset: 1 }]);
        }
      }),
    );
  });

  it('does the same each time', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const histories: string[][][] = [];
        for (let i = 0; i < 2; i++) {
          const actors = await run(fakeKafka({ topics: { t: { partitions: PARTITIONS } } }), plan);
          histories.push(actors.map((actor) => actor.history));
        }
        expect(histories[0]).toEqual(histories[1]);
      }),
      { numRuns: 30 },
    );
  });
});
