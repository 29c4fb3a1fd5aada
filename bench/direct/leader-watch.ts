import { setTimeout as sleep } from 'node:timers/promises';
import {
  metadataApi,
  readMetadataResponse,
  writeMetadataRequest,
} from '../../packages/core/src/confluent/direct/metadata.ts';
import { machineNow } from '../machine-now.ts';
import { AnyBroker } from './any-broker.ts';

const LOOK_MS = 40;

/** Another broker leads a partition than at the look before. */
interface LeaderChange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  readonly at: number;
}

/** Looks all the time at who leads a topic's partitions, and notes what it sees: two changes between two looks are one to it. */
export class LeaderWatch {
  readonly changes: LeaderChange[] = [];
  readonly #topic: string;
  readonly #broker: AnyBroker;
  readonly #leaders = new Map<number, { readonly id: number; readonly epoch: number }>();
  #isOver = false;
  #watching: Promise<void> | undefined;

  constructor(brokers: readonly string[], topic: string) {
    this.#topic = topic;
    this.#broker = new AnyBroker(brokers);
  }

  start(): void {
    this.#watching = this.#watch();
    this.#watching.catch(() => {});
  }

  /** Rejects when it could not see any more. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#broker.close();
    await this.#watching;
  }

  leaderOf(partition: number): number | undefined {
    return this.#leaders.get(partition)?.id;
  }

  /** The broker that leads the most partitions, and how many. */
  get busiest(): { readonly nodeId: number; readonly partitions: number } {
    const counts = new Map<number, number>();
    for (const { id } of this.#leaders.values()) counts.set(id, (counts.get(id) ?? 0) + 1);
    const [nodeId, partitions] = [...counts].sort(([, one], [, other]) => other - one)[0] ?? [0, 0];
    return { nodeId, partitions };
  }

  changesIn(span: { readonly from: number; readonly until: number }): readonly LeaderChange[] {
    return this.changes.filter(({ at }) => at >= span.from && at <= span.until);
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await this.#look();
      await sleep(LOOK_MS);
    }
  }

  async #look(): Promise<void> {
    let answer: Buffer;
    try {
      answer = await this.#broker.ask(metadataApi, writeMetadataRequest([this.#topic]));
    } catch (error) {
      if (this.#isOver) return;
      throw error;
    }
    for (const { partitions } of readMetadataResponse(answer).topics)
      for (const { partition, leaderId, leaderEpoch } of partitions) this.#see(partition, leaderId, leaderEpoch);
  }

  /** A broker that has just started tells of elections long past. */
  #see(partition: number, id: number, epoch: number): void {
    const before = this.#leaders.get(partition);
    if (id < 0 || (before !== undefined && before.epoch >= epoch)) return;
    this.#leaders.set(partition, { id, epoch });
    if (before !== undefined && before.id !== id)
      this.changes.push({ partition, from: before.id, to: id, at: machineNow() });
  }
}
