import type { TestClients } from '../../packages/core/src/testing/cluster-under-test.ts';
import { isPassing } from './is-passing.ts';
import { type PartOptions, PlacedTopic } from './placed-topic.ts';
import { SocketBytes } from './socket-bytes.ts';
import { untilRead } from './until-read.ts';

/** What came over the reader's connections, of each broker, in bytes, while so much was to be read. */
interface Phase {
  readonly recordBytes: number;
  readonly fromLeader: number;
  readonly fromNearest: number;
  readonly fromTheOther: number;
}

/** What came of it. */
export interface NearestReplicaVerdict {
  readonly records: number;
  /** Beginning with the phase in which all brokers were there. */
  readonly allThere: Phase;
  /** In the middle of it. */
  readonly nearestKilled: Phase;
  readonly nearestAway: Phase;
  readonly nearestBack: Phase;
  readonly violations: readonly string[];
}

const NAME = 'nearest-replica';
const PARTITIONS = 3;
const LEADER = 1;
/** The one in the reader's rack. */
const NEAREST = 2;
const OTHER = 3;
/** Of each partition in each phase. */
const RECORDS = 4_000;
const PARTS = 8;
const VALUE = 'x'.repeat(1_000);
/** What comes beside records: answers without any, keys, what a batch is wrapped in. */
const MOSTLY = 0.9;
const HARDLY = 0.1;

/** A reader that says in which rack it is reads from the replica there (KIP-392), goes on from the leader when that is killed, and comes back to it. */
export async function nearestReplica(options: PartOptions): Promise<NearestReplicaVerdict> {
  const { brokers, say, signal } = options;
  const topic = new PlacedTopic(NAME, options);
  const { list } = topic;
  const clients = topic.clientsWith({ reader: 'direct', rack: `rack-${NEAREST}` });
  const bytes = new SocketBytes();
  try {
    await topic.create({ partitions: PARTITIONS, replicas: [LEADER, NEAREST, OTHER] });

    bytes.start();
    const member = await clients.member([NAME], { groupProtocol: 'consumer' });
    await untilRead(member, 'it is assigned', () => member.owned.size === PARTITIONS, signal);
    const phase = async (what: string, inTheMiddle?: () => Promise<void>): Promise<Phase> => {
      say(what);
      const expected = member.records.length + PARTITIONS * RECORDS;
      const before = bytes.from(list);
      const written = write(clients, inTheMiddle);
      written.catch(() => {});
      await untilRead(member, `${expected} records came`, () => member.records.length >= expected, signal);
      await written;
      const now = bytes.from(list);
      const of = (nodeId: number): number => (now[nodeId - 1] ?? 0) - (before[nodeId - 1] ?? 0);
      const recordBytes = PARTITIONS * RECORDS * VALUE.length;
      return { recordBytes, fromLeader: of(LEADER), fromNearest: of(NEAREST), fromTheOther: of(OTHER) };
    };

    const allThere = await phase(`broker ${LEADER} leads, and the reader is in the rack of broker ${NEAREST}`);
    const kill = (): Promise<void> => brokers.end(NEAREST, 'SIGKILL');
    const nearestKilled = await phase(`broker ${NEAREST} is killed while it is read from`, kill);
    const nearestAway = await phase(`broker ${NEAREST} is away`);
    await brokers.startAgain();
    await brokers.untilInSync(signal);
    const nearestBack = await phase(`broker ${NEAREST} is there again`);
    return {
      ...{ records: member.records.length, allThere, nearestKilled, nearestAway, nearestBack },
      violations: [
        ...wrongBytes('while all brokers were there', allThere, 'fromNearest'),
        ...wrongBytes('while the nearest was away', nearestAway, 'fromLeader'),
        ...wrongBytes('when the nearest was back', nearestBack, 'fromNearest'),
        ...wrongOffsets((partition) => member.offsets(partition)),
        ...member.errors.flatMap((error) => (isPassing(error) ? [] : [`it reported: ${error.message}`])),
      ].map((violation) => `nearest replica: ${violation}`),
    };
  } finally {
    bytes.stop();
    await topic.close();
  }
}

/** A part at a time, so that some are read while others are still to be written. */
async function write(clients: TestClients, inTheMiddle: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  let happening = Promise.resolve();
  for (let part = 0; part < PARTS; part++) {
    if (part === PARTS / 2) happening = inTheMiddle();
    const numbers = Array.from({ length: (PARTITIONS * RECORDS) / PARTS }, (_, number) => number);
    await clients.send(numbers.map((number) => ({ topic: NAME, partition: number % PARTITIONS, value: VALUE })));
  }
  await happening;
}

function wrongBytes(when: string, phase: Phase, source: 'fromNearest' | 'fromLeader'): readonly string[] {
  const { recordBytes, fromLeader, fromNearest, fromTheOther } = phase;
  const elsewhere = fromLeader + fromNearest + fromTheOther - phase[source];
  if (phase[source] >= recordBytes * MOSTLY && elsewhere <= recordBytes * HARDLY) return [];
  return [`${when}, of ${recordBytes} bytes of records ${phase[source]} came ${source}, and ${elsewhere} did not`];
}

function wrongOffsets(offsetsOf: (partition: number) => readonly number[]): readonly string[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => partition).flatMap((partition) => {
    const offsets = offsetsOf(partition);
    const wrong = offsets.findIndex((offset, index) => offset !== index);
    return wrong < 0 ? [] : [`partition ${partition} has ${offsets[wrong]} in the place of ${wrong}`];
  });
}
