import type { EmbeddedKafka, EmbeddedKafkaOptions } from './embedded-kafka.ts';

/**
 * A Kafka cluster inside this process: librdkafka's mock cluster behind the real client, for tests and demos.
 * Needs `koffi` and `@confluentinc/kafka-javascript`, which are loaded when it is called and not before.
 * @throws MissingDependencyError with the command that installs what is missing
 */
export async function embeddedKafka(options: EmbeddedKafkaOptions = {}): Promise<EmbeddedKafka> {
  const embedded = await import('./embedded-kafka.ts');
  return embedded.embeddedKafka(options);
}

export type { EmbeddedKafka, EmbeddedKafkaOptions } from './embedded-kafka.ts';
export type { FakeKafka, FakeKafkaOptions } from './fake-kafka.ts';
export { fakeKafka } from './fake-kafka.ts';
export type { FakeAssignor } from './fake-kafka-assignor.ts';
export type { FakeGroupControls } from './fake-kafka-group-controls.ts';
export type { FakeCall, FakeCargo, FakeHold, FakeOperation } from './fake-kafka-network.ts';
export { VirtualClock } from './virtual-clock.ts';
