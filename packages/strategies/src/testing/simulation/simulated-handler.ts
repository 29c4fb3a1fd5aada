import type { BatchContext, KafkaRecord } from '@kafka-worker/core';
import type { InjectionCounts } from './injection-counts.ts';
import type { Oracle } from './oracle.ts';
import type { SeededRandom } from './seeded-random.ts';
import { nameOf, type SentRecord } from './sent-records.ts';
import type { SimulatedCall } from './simulated-call.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { WeatherMix } from './weather-mix.ts';

/** What handlers act in. */
export interface HandlerParts {
  readonly oracle: Oracle;
  readonly random: SeededRandom;
  readonly mix: WeatherMix;
  readonly injected: InjectionCounts;
  readonly isCalm: () => boolean;
  /** A place where something may happen. */
  readonly awaited: () => void;
  /** Whether handlers send messages. */
  readonly sends: boolean;
}

/** What one call does. */
interface Behaviour {
  /** 0 returns without a promise. */
  readonly durationMs: number;
  readonly isFailing: boolean;
  readonly heedsSignal: boolean;
}

type Context = Pick<BatchContext<KafkaRecord>, 'attempt' | 'signal' | 'send'> & {
  readonly fail?: BatchContext<KafkaRecord>['fail'];
};

/** The handler of every worker of a run: quick or slow, failing now and then, and sometimes deaf to its signal. */
export class SimulatedHandler {
  readonly #parts: HandlerParts;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  handle(process: SimulatedProcess, given: readonly KafkaRecord[], context: Context): unknown {
    if (process.isDead) return new Promise(() => {});
    const { oracle, awaited, random } = this.#parts;
    const records = given.map((record) => oracle.sent.get(record));
    const behaviour = this.#behaviour();
    const failed = behaviour.isFailing ? records.filter((_, i) => i === 0 || random.chance(0.5)) : [];
    const isAlone = context.fail !== undefined && failed.length > 0 && random.chance(0.5);
    const call = oracle.started(process.name, records, context.attempt, () => context.signal);
    const counts = this.#parts.sends ? records.map(() => random.pick([0, 1, 1, 2])) : [];
    const send = (atLeast: number): void => {
      for (const [i, record] of records.entries())
        if ((counts[i] ?? 0) >= atLeast) this.#send(call, record, given[i] as KafkaRecord, context);
    };
    send(1);
    awaited();
    const end = (): void => {
      if (process.isDead) return;
      try {
        send(2);
      } catch (error) {
        // The partition is gone.
        oracle.ended(call, records);
        throw error;
      }
      oracle.ended(call, failed.length === 0 || isAlone ? failed : records);
      const [first] = failed;
      if (first === undefined) return;
      if (!isAlone) throw new Error(`${nameOf(first)} fails`);
      for (const record of failed) context.fail?.(given[records.indexOf(record)] as KafkaRecord, new Error('alone'));
    };
    return behaviour.durationMs === 0 ? end() : this.#later(process, call, context, behaviour, end);
  }

  async #later(
    process: SimulatedProcess,
    call: SimulatedCall,
    context: Context,
    { durationMs, heedsSignal }: Behaviour,
    end: () => void,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = process.clock.setTimeout(resolve, durationMs);
      if (!heedsSignal) return;
      const abort = (): void => {
        timer.clear();
        this.#parts.oracle.ended(call, call.records);
        reject(context.signal.reason as Error);
      };
      if (context.signal.aborted) abort();
      else context.signal.addEventListener('abort', abort);
    });
    this.#parts.awaited();
    end();
  }

  #send(call: SimulatedCall, record: SentRecord, given: KafkaRecord, { send }: Context): void {
    const { partition, key } = record;
    const message = { topic: 'out', partition, key, value: this.#parts.oracle.outputs.sends(call, record) };
    send(message, given);
  }

  #behaviour(): Behaviour {
    const { random, mix, injected, isCalm } = this.#parts;
    if (isCalm()) return { durationMs: random.pick([0, 1]), isFailing: false, heedsSignal: true };
    const isFailing = random.chance(mix.failure);
    if (isFailing) injected.count('handler-failure');
    if (random.chance(mix.stuck)) {
      injected.count('stuck-handler');
      return { durationMs: random.pick([3_000, 12_000, 1_000_000]), isFailing, heedsSignal: false };
    }
    if (random.chance(mix.slow)) {
      injected.count('slow-handler');
      return { durationMs: random.pick([150, 600, 3_000]), isFailing, heedsSignal: random.chance(0.8) };
    }
    return { durationMs: random.pick([0, 1, 5, 20]), isFailing, heedsSignal: random.chance(0.5) };
  }
}
