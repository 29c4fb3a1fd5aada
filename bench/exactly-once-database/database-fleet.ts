import { WorkerProcesses } from '../faults/worker-processes.ts';
import type { DatabaseWorkerOptions } from './database-worker-process.ts';

/** Processes that write to PostgreSQL, of either strategy in turn. */
export class DatabaseFleet extends WorkerProcesses<DatabaseWorkerOptions> {
  constructor(common: Omit<DatabaseWorkerOptions, 'name' | 'strategy'>) {
    super(new URL('./database-worker-process.ts', import.meta.url), (index) => ({
      ...common,
      name: `worker-${index}`,
      strategy: index % 2 === 0 ? 'perKey' : 'perPartition',
    }));
  }
}
