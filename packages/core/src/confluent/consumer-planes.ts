import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { Committer } from './committer.ts';
import type { ConfluentConsumerOptions } from './consumer-options.ts';
import { GroupMember } from './group-member.ts';
import { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { NativeConsumer } from './native-client.ts';
import { logRange } from './offset-queries.ts';
import { PositionCheck } from './position-check.ts';
import type { RawClient } from './raw-client.ts';
import { ReadFailures } from './read-failures.ts';
import type { ChosenReader } from './reader-plan.ts';
import type { MoveNatively, RecordReader } from './record-reader.ts';
import { TwoReaders } from './two-readers.ts';

/** What they work with, and whom they tell. */
export interface ConsumerPlanesParts {
  readonly raw: RawClient<NativeConsumer>;
  readonly options: ConfluentConsumerOptions;
  readonly groupId: string;
  /** What is subscribed. */
  readonly topics: () => readonly string[];
  readonly moveNatively: MoveNatively;
  /** There may be something new to take. */
  readonly changed: () => void;
  readonly report: (error: KafkaWorkerError) => void;
}

/**
 * What a consumer has from its native client's start on: the control plane and the data plane, and who connects them. librdkafka's queue is turned at once,
 * for everything that it answers comes through it. Who reads is chosen by asking brokers, so that one comes later, and with it the group's member.
 */
export class ConsumerPlanes {
  readonly #parts: ConsumerPlanesParts;
  /** Turns librdkafka's queue, and reads what comes through it unless another reader is in front. */
  readonly librdkafka: LibrdkafkaReader;
  readonly committer: Committer;
  readonly check: PositionCheck;
  readonly #failures: ReadFailures;
  #reader: RecordReader | undefined;
  #member: GroupMember | undefined;

  constructor(parts: ConsumerPlanesParts) {
    this.#parts = parts;
    const { raw, options, groupId, topics, changed, report } = parts;
    const failed: ReadFailures['failed'] = (...failure) => this.#failures.failed(...failure);
    // librdkafka's default.
    const isReadCommitted = options.properties['isolation.level'] !== 'read_uncommitted';
    this.librdkafka = new LibrdkafkaReader(raw.native, { changed, failed }, isReadCommitted);
    this.check = new PositionCheck(raw, this.librdkafka, report, (start) => this.#member?.restart(start));
    this.committer = new Committer(
      (offsets) => raw.native.commit(offsets),
      () => this.librdkafka.hurry(),
      groupId,
    );
    const owned = (): RecordReader['owned'] => (this.#reader ?? this.librdkafka).owned;
    const { check } = this;
    this.#failures = new ReadFailures({ raw, owned, check, brokers: options.brokers, groupId, topics, report });
  }

  /** Undefined until it is chosen. */
  get reader(): RecordReader | undefined {
    return this.#reader;
  }

  /** Undefined until it is chosen who reads. */
  get member(): GroupMember | undefined {
    return this.#member;
  }

  /** From now on librdkafka's queue is turned. */
  start(): void {
    this.librdkafka.start();
  }

  /** Who reads is chosen: from now on partitions may be assigned. */
  read(chosen: ChosenReader): void {
    const { raw, options, changed, report } = this.#parts;
    const { brokers, logger, properties } = options;
    const reader = this.#newReader(chosen);
    this.#reader = reader;
    const groupProtocol = String(properties['group.protocol']);
    this.#member = new GroupMember(raw.native, reader, logger, { changed, failed: report }, groupProtocol);
    const choice = { reader: chosen.reader, why: chosen.why };
    logger.info('kafka consumer starts', { brokers, ...choice });
    options.reading?.(choice);
  }

  async stop(): Promise<void> {
    this.check.stop();
    await (this.#reader ?? this.librdkafka).stop();
  }

  #newReader(chosen: ChosenReader): RecordReader {
    const { librdkafka } = this;
    if (chosen.reader === 'librdkafka') return librdkafka;
    const { raw, options, moveNatively, changed, report } = this.#parts;
    return new TwoReaders({
      ...{ native: raw.native, librdkafka, library: chosen.library, options: chosen.options, logger: options.logger },
      ...{ moveNatively, changed, report },
      rangeOf: (partition) => logRange(raw, partition),
    });
  }
}
