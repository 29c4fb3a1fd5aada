import { setTimeout as sleep } from 'node:timers/promises';
import type { StagedFaults } from './run-faults.ts';
import type { WorkerProcess, WorkerProcesses } from './worker-processes.ts';

/** What is done to worker processes, and to the broker, whatever their delivery. */
export interface ProcessFaults {
  /** A process ended by SIGKILL in whatever it was doing. */
  readonly kills: number;
  /** A process that comes, and one that leaves in order. */
  readonly rebalances: number;
  /** A process that stands still for longer than its session, and then goes on. */
  readonly pauses: number;
  /** The broker stopped, in order or at once, and started again. */
  readonly brokerRestarts: number;
}

type Fleet = Pick<WorkerProcesses<{ readonly name: string }>, 'members' | 'failed' | 'kill' | 'leave'> & {
  join(): WorkerProcess;
};

/** The session of a worker process, as librdkafka is told. */
export const sessionProperties = { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 500 } as const;

/** Above the workers' sessions. */
const PAUSE_MS = 9_000;

export function processFaults(
  fleet: Fleet,
  random: () => number,
  restartBroker: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>,
): StagedFaults<ProcessFaults> {
  return {
    kills: async () => {
      await fleet.kill(anyOf(fleet, random));
      fleet.join();
    },
    rebalances: async () => {
      fleet.join();
      await sleep(2_000 + random() * 2_000);
      await fleet.leave(anyOf(fleet, random));
    },
    pauses: async () => {
      const paused = anyOf(fleet, random);
      paused.child.kill('SIGSTOP');
      // Others have it all to themselves meanwhile.
      await sleep(PAUSE_MS);
      paused.child.kill('SIGCONT');
    },
    brokerRestarts: (times) => restartBroker(times % 2 === 0 ? 'SIGKILL' : 'SIGTERM'),
  };
}

/** One of those that run. */
export function anyOf({ members, failed }: Pick<Fleet, 'members' | 'failed'>, random: () => number): WorkerProcess {
  const chosen = members[Math.floor(random() * members.length)];
  if (chosen === undefined) throw new Error(`no worker is left: ${failed.join('; ')}`);
  return chosen;
}
