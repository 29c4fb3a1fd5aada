/** Who reads a topic in the benchmark `throughput`, and how. Sent to its process as JSON. */
export interface Contestant {
  readonly name: string;
  /** `raw`: a bare loop on the native client. `kafkajs`: its `eachBatch`. The others are our worker with that reader. */
  readonly client: 'raw' | 'kafkajs' | 'librdkafka' | 'direct';
  /** Of a worker. @defaultValue 'serial' */
  readonly concurrency?: 'serial' | 'perKey';
  /** @defaultValue 'reads' */
  readonly touch?: Touch;
}

/**
 * What is done with a record: its key and value are read; the same in an async function; its headers too; or nothing at all. Read means that the
 * Buffers are made, where the client has not made them before, and their lengths added up.
 */
export type Touch = 'reads' | 'reads async' | 'reads headers' | 'nothing';

/** What a contestant is to read. */
export interface ReadOrder {
  readonly brokers: string;
  readonly topic: string;
  readonly records: number;
}

/** How it went, from the first record on. */
export interface Reading extends Partial<Strain> {
  readonly seconds: number;
}

/** What it cost the process. */
export interface Strain {
  /** The longest time that the event loop stood still. */
  readonly stallMs: number;
  /** The most memory that it had (RSS); undefined where the system does not tell. */
  readonly peakMiB: number | undefined;
  /** Of all its threads. */
  readonly cpuSeconds: number;
}
