export type { EmbeddedKafka, EmbeddedKafkaOptions } from './embedded-kafka.ts';
export { embeddedKafka } from './embedded-kafka.ts';
export type { FakeKafka, FakeKafkaOptions } from './fake-kafka.ts';
export { fakeKafka } from './fake-kafka.ts';
export type { FakeAssignor } from './fake-kafka-assignor.ts';
export type { FakeGroupControls } from './fake-kafka-group-controls.ts';
export type { FakeCall, FakeCargo, FakeHold, FakeOperation } from './fake-kafka-network.ts';
export { VirtualClock } from './virtual-clock.ts';
