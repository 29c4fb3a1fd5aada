/** What has to hold in every run, by name. */
export const invariants = {
  'no-loss': 'when the weather is calm again, everything produced is handled at least once, and committed',
  order:
    'inside a lane records are handled one by one and in their order within one epoch, and never more calls at once than the strategy allows',
  'one-owner':
    'a process handles records only of what it owns, and never two processes those of one partition, unless the broker has expelled the one or a stuck handler was released',
  commit: 'nothing is committed past an unfinished record, and nothing for a partition that is known to be lost',
  duplicates:
    'a record that was handled comes again only where an abort, a crash, a lost partition or a commit that failed explains it',
  once: 'under exactlyOnce, everything that the handler call that finished a record has sent can be read once, and nothing else of that record',
  'output-order': 'under exactlyOnce, what was sent for the records of a partition can be read in their order',
  atomic:
    'under exactlyOnce, what a record has sent can be read from the moment on in which its offset is committed, and not before',
  fenced: 'under exactlyOnce, the broker takes offsets only from the owner of their partitions',
  'late-owner':
    'under exactlyOnce, nothing can be read of what was finished by a process that had given the partition away, or the call up',
  'transaction-content':
    'under exactlyOnce, a transaction that commits a next offset contains exactly what the records from the one before it on have sent, in their order',
  'stop-ends': 'a stop ends within its bounds, and leaves no timer behind',
  'no-defect': 'a worker ends only with errors that the weather explains',
} as const;

export type Invariant = keyof typeof invariants;

/** One time that an invariant did not hold. */
export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
  /** Virtual milliseconds since the run began. */
  readonly atMs: number;
}
