import { setTimeout as sleep } from 'node:timers/promises';
import { endBroker, startBrokerAgain } from '../../scripts/broker-restart.ts';
import { startPrivateKafka } from '../../scripts/private-kafka.ts';
import { ThreeBrokers } from '../chaos/three-brokers.ts';

type EndOfBroker = 'SIGTERM' | 'SIGKILL';

/** A Kafka whose brokers can be restarted while others use it. */
interface FaultedKafka {
  readonly bootstrap: string;
  /** That a partition has. */
  readonly replicas: 1 | 3;
  /** Ends one broker, in order or at once, and starts it again. */
  readonly restartBroker: (how: EndOfBroker) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts one. Its servers end with `stop`. */
export type StartFaultedKafka = (say: (line: string) => void, signal: AbortSignal) => Promise<FaultedKafka>;

/** How long a broker of three is away: long enough that the others take over. */
const AWAY_MS = 5_000;

/** @param how it ends, whatever is asked for */
const oneBrokerThat =
  (end: (how: EndOfBroker) => EndOfBroker): StartFaultedKafka =>
  async (say, signal) => {
    const { cluster, directory, stop } = await startPrivateKafka(say, signal, { brokers: 1, secure: false });
    const restartBroker = async (how: EndOfBroker): Promise<void> => {
      await endBroker(directory, 1, end(how));
      await startBrokerAgain(directory, 1);
    };
    return { bootstrap: cluster.bootstrap, replicas: 1, restartBroker, stop };
  };

export const oneBroker: StartFaultedKafka = oneBrokerThat((how) => how);

/** What transactions promise holds on one broker as long as it is not killed (see {@link threeBrokers}). */
export const oneBrokerInOrder: StartFaultedKafka = oneBrokerThat(() => 'SIGTERM');

/**
 * One after another is restarted, each when all replicas are in sync. What transactions promise needs replicas: a broker that comes back after it was killed
 * may drop a transaction without its abort marker where no other has the partition (KAFKA-20734).
 */
export const threeBrokers: StartFaultedKafka = async (say, signal) => {
  const brokers = await ThreeBrokers.start(say, signal);
  let restarts = 0;
  const restartBroker = async (how: EndOfBroker): Promise<void> => {
    await brokers.untilInSync(signal);
    await brokers.end((restarts++ % 3) + 1, how);
    await sleep(AWAY_MS, undefined, { signal });
    await brokers.startAgain();
  };
  return { bootstrap: brokers.bootstrap, replicas: 3, restartBroker, stop: () => brokers.stop() };
};
