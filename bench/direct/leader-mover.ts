import { ByteReader } from '../../packages/core/src/confluent/direct/byte-reader.ts';
import { ByteWriter } from '../../packages/core/src/confluent/direct/byte-writer.ts';
import { AnyBroker } from './any-broker.ts';

/** Kafka's keys of these requests, and the versions that are used. */
const reassignApi = { key: 45, version: 0 } as const;
const electApi = { key: 43, version: 2 } as const;
const elections = { preferred: 0, unclean: 1 } as const;

const TIMEOUT_MS = 5_000;
const NONE = 0;
/** It leads already. */
const NOT_NEEDED = 84;
/** Errors that say that it cannot be now: the controller is another one or does not answer, or the one that is to lead is not in sync. */
const passing: readonly number[] = [7, 41, 80];

/** Makes brokers leaders of a topic's partitions, as administrators do it with Kafka's own tools. */
export class LeaderMover {
  readonly #topic: string;
  readonly #broker: AnyBroker;

  /** @param brokers as `host:port` */
  constructor(brokers: readonly string[], topic: string) {
    this.#broker = new AnyBroker(brokers);
    this.#topic = topic;
  }

  /**
   * Says which replicas partitions have; the first is to lead, and does so from the next election on. @throws Error when the cluster refuses
   * @see https://kafka.apache.org/protocol#The_Messages_AlterPartitionReassignments
   */
  async place(replicas: ReadonlyMap<number, readonly number[]>): Promise<void> {
    const writer = new ByteWriter().int32(TIMEOUT_MS);
    writer.array([this.#topic], (name) => {
      writer.string(name).array([...replicas], ([partition, nodeIds]) => {
        writer.int32(partition).array(nodeIds, (nodeId) => writer.int32(nodeId));
        writer.noTaggedFields();
      });
      writer.noTaggedFields();
    });
    const reader = new ByteReader(await this.#broker.ask(reassignApi, writer.noTaggedFields().bytes));
    reader.int32(); // For how long the broker holds requests back.
    const whole = { errorCode: reader.int16(), message: reader.nullableString() };
    const answers = reader.array(() => partitionAnswers(reader)).flat();
    refuse('placed', [whole, ...answers], this.#topic);
  }

  /**
   * Has the first of their replicas lead these partitions; an unclean election takes one that is behind where no other is left. How many of them have got
   * another leader. @throws Error when the cluster refuses
   * @see https://kafka.apache.org/protocol#The_Messages_ElectLeaders
   */
  async elect(partitions: readonly number[], how: keyof typeof elections = 'preferred'): Promise<number> {
    const writer = new ByteWriter().int8(elections[how]);
    writer.array([this.#topic], (name) => {
      writer.string(name).array(partitions, (partition) => writer.int32(partition));
      writer.noTaggedFields();
    });
    const reader = new ByteReader(await this.#broker.ask(electApi, writer.int32(TIMEOUT_MS).noTaggedFields().bytes));
    reader.int32(); // For how long the broker holds requests back.
    const whole = { errorCode: reader.int16(), message: null };
    const answers = reader.array(() => partitionAnswers(reader)).flat();
    refuse('led by another one', [whole, ...answers], this.#topic);
    return answers.filter(({ errorCode }) => errorCode === NONE).length;
  }

  close(): void {
    this.#broker.close();
  }
}

interface Answer {
  readonly errorCode: number;
  readonly message: string | null;
}

/** What both requests are answered for a topic. */
function partitionAnswers(reader: ByteReader): Answer[] {
  reader.nullableString(); // The topic.
  const answers = reader.array(() => {
    reader.int32(); // The partition.
    const answer = { errorCode: reader.int16(), message: reader.nullableString() };
    reader.taggedFields();
    return answer;
  });
  reader.taggedFields();
  return answers;
}

function refuse(what: string, answers: readonly Answer[], topic: string): void {
  const bad = answers.find(({ errorCode }) => ![NONE, NOT_NEEDED, ...passing].includes(errorCode));
  if (bad !== undefined) throw new Error(`${topic} cannot be ${what}: ${bad.message ?? ''} (${bad.errorCode})`);
}
