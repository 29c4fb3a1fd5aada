import type { TraceEntry } from './trace.ts';
import type { WorkerHistory } from './worker-fleet.ts';

/** One call of a handler. */
export interface Call {
  readonly epoch: Epoch;
  readonly offset: number;
  readonly key: string;
  readonly sequence: number;
  readonly at: number;
  /** Undefined if the process ended before. */
  readonly returnedAt: number | undefined;
}

/** One assignment of one partition to one worker process, as its trace tells it. */
export interface Epoch {
  readonly worker: WorkerHistory;
  readonly partition: number;
  readonly from: number;
  readonly until: number;
  readonly ending: 'revoked' | 'lost' | 'left' | 'killed' | 'crashed';
  readonly calls: readonly Call[];
  /** The last next offset that the broker has acknowledged, as far as the process came to note it. */
  readonly acknowledged: number;
}

type Growing<T> = { -readonly [Field in keyof T]: T[Field] };
type GrowingCall = Growing<Call>;
type GrowingEpoch = Growing<Omit<Epoch, 'calls'>> & { readonly calls: GrowingCall[] };

/** Reads a trace from its beginning to its end. @throws for what no worker may do: a call outside of any assignment */
export function epochsOf(worker: WorkerHistory): readonly Epoch[] {
  const epochs: GrowingEpoch[] = [];
  const open = new Map<number, GrowingEpoch>();
  const running = new Map<string, GrowingCall>();
  const finish = (partitions: Iterable<number>, ending: Epoch['ending'], at: number): void => {
    for (const partition of [...partitions]) {
      const epoch = open.get(partition);
      if (epoch !== undefined) Object.assign(epoch, { ending, until: at });
      open.delete(partition);
    }
  };
  const isKilled = worker.signalled?.signal === 'SIGKILL';
  const endedAt = (isKilled ? worker.signalled?.at : worker.exited?.at) ?? Number.POSITIVE_INFINITY;
  const last: Pick<Epoch, 'ending' | 'until'> = { ending: isKilled ? 'killed' : 'crashed', until: endedAt };

  const take = (entry: TraceEntry): void => {
    switch (entry.what) {
      case 'assigned':
        for (const partition of entry.partitions) {
          const epoch = { worker, partition, from: entry.at, ...last, calls: [], acknowledged: 0 };
          open.set(partition, epoch);
          epochs.push(epoch);
        }
        return;
      case 'revoked':
        finish(entry.partitions, entry.lost ? 'lost' : 'revoked', entry.at);
        return;
      case 'stopped':
        finish(open.keys(), worker.signalled?.signal === 'SIGTERM' ? 'left' : 'crashed', entry.at);
        return;
      case 'call': {
        const epoch = open.get(entry.partition);
        const { partition, offset, key, sequence, at } = entry;
        if (epoch === undefined)
          throw new Error(`${worker.name} handled ${partition}@${offset} outside any assignment`);
        const call: GrowingCall = { epoch: epoch, offset, key, sequence, at, returnedAt: undefined };
        epoch.calls.push(call);
        running.set(`${partition}@${offset}`, call);
        return;
      }
      case 'return': {
        const call = running.get(`${entry.partition}@${entry.offset}`);
        if (call !== undefined) call.returnedAt = entry.at;
        running.delete(`${entry.partition}@${entry.offset}`);
        return;
      }
      case 'commit':
        for (const [partition, offset] of Object.entries(entry.next)) {
          const epoch = open.get(Number(partition));
          if (epoch !== undefined) epoch.acknowledged = Math.max(epoch.acknowledged, offset);
        }
        return;
      case 'commit-failed':
      case 'stopping':
        return;
    }
  };
  for (const entry of worker.entries) take(entry);
  return epochs;
}
