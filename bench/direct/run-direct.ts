import { ThreeBrokers } from '../chaos/three-brokers.ts';
import { type MovingLeadersVerdict, movingLeaders } from './moving-leaders.ts';
import { type NearestReplicaVerdict, nearestReplica } from './nearest-replica.ts';
import { type UncleanElectionVerdict, uncleanElection } from './unclean-election.ts';

export interface RunDirectOptions {
  /** In the first part. */
  readonly records: number;
  readonly elections: number;
  /** Where traces and logs of the workers go. */
  readonly directory: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What came of each part. */
export interface DirectVerdict extends Omit<MovingLeadersVerdict, 'violations'> {
  readonly nearestReplica: Omit<NearestReplicaVerdict, 'violations'>;
  readonly uncleanElection: Omit<UncleanElectionVerdict, 'violations'>;
  /** Everything that must not be, in words. */
  readonly violations: readonly string[];
}

/** Starts three brokers, and has the direct reader read while they do all that brokers do. */
export async function runDirect({
  records,
  elections,
  directory,
  say,
  signal,
}: RunDirectOptions): Promise<DirectVerdict> {
  const brokers = await ThreeBrokers.start(say, signal);
  try {
    say('── leaders move, brokers restart, a leader is killed');
    const { violations: ofMoving, ...moving } = await movingLeaders({
      ...{ brokers, records, elections, directory, say, signal },
    });
    say('── the nearest replica');
    const { violations: ofNearest, ...nearest } = await nearestReplica({ brokers, say, signal });
    say('── an unclean election');
    const { violations: ofUnclean, ...unclean } = await uncleanElection({ brokers, say, signal });
    return {
      ...moving,
      ...{ nearestReplica: nearest, uncleanElection: unclean },
      violations: [...ofMoving, ...ofNearest, ...ofUnclean],
    };
  } finally {
    await brokers.stop();
  }
}
