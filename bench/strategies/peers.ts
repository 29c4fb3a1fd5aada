/** What peers reached. */
interface Peers {
  /** Records per second, no-op handler; compiled Go. */
  readonly kafkaGoWorkerNoOp: { readonly serial: number; readonly perKey: number };
  /** Records per second, no-op handler, per key: the better end of 7,000 to 9,000. */
  readonly parallelConsumerNoOp: { readonly perKey: number };
  /** Seconds for 25,000 records of 1,000 keys with these waits and this concurrency. */
  readonly waits: {
    readonly waitMs: number;
    readonly concurrency: number;
    readonly parallelConsumerSeconds: number;
    readonly kafkaGoWorkerSeconds: number;
  };
  /** Seconds for 10,000 records of one partition that wait up to 5 ms, by number of keys. */
  readonly parallelConsumerOnePartition: ReadonlyMap<number, number>;
}

/**
 * Measured elsewhere and on another day, on two cores like those that our figures come from. They stand beside ours to tell the order of magnitude;
 * ratios between the strategies, and to their ideal, come from one run of ours.
 */
export const elsewhere: Peers = {
  kafkaGoWorkerNoOp: { serial: 331_000, perKey: 204_000 },
  parallelConsumerNoOp: { perKey: 9_000 },
  waits: { waitMs: 10, concurrency: 100, parallelConsumerSeconds: 3.1, kafkaGoWorkerSeconds: 3.6 },
  parallelConsumerOnePartition: new Map([
    [1, 29.5],
    [10, 3.75],
    [100, 0.95],
    [1_000, 0.76],
    [10_000, 0.88],
  ]),
};
