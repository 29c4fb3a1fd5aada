import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { machineNow } from '../machine-now.ts';

/** Something that happened in a worker process. `at` is in milliseconds, on the clock that all processes of this machine share. */
export type TraceEntry = { readonly at: number } & (
  | {
      readonly what: 'call';
      readonly partition: number;
      readonly offset: number;
      readonly key: string;
      readonly sequence: number;
    }
  | { readonly what: 'return'; readonly partition: number; readonly offset: number }
  | { readonly what: 'assigned'; readonly partitions: readonly number[] }
  | { readonly what: 'revoked'; readonly partitions: readonly number[]; readonly lost: boolean }
  /** Acknowledged: per partition the next offset. */
  | { readonly what: 'commit'; readonly next: Readonly<Record<string, number>> }
  | { readonly what: 'commit-failed'; readonly partitions: readonly number[]; readonly error: string }
  /** A signal came, and the worker stops. */
  | { readonly what: 'stopping' }
  | { readonly what: 'stopped'; readonly error: string | undefined }
);

/** Without `at`: who writes it down adds that. */
export type Happening = TraceEntry extends infer Entry ? (Entry extends TraceEntry ? Omit<Entry, 'at'> : never) : never;

/** Appends what happens to a file, each at once: what a `kill -9` leaves unwritten has not happened. */
export class TraceWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  write(happening: Happening): void {
    writeSync(this.#file, `${JSON.stringify({ at: machineNow(), ...happening })}\n`);
  }
}

/** Reads a trace while it is being written. */
export class TraceReader {
  readonly entries: TraceEntry[] = [];
  readonly #path: string;
  readonly #chunk = Buffer.alloc(1 << 20);
  #position = 0;
  #rest = '';

  constructor(path: string) {
    this.#path = path;
    closeSync(openSync(path, 'a'));
  }

  /** What was appended since the last time. A line that is not complete waits for its end. */
  read(): readonly TraceEntry[] {
    const file = openSync(this.#path, 'r');
    const before = this.entries.length;
    try {
      for (;;) {
        const length = readSync(file, this.#chunk, 0, this.#chunk.length, this.#position);
        if (length === 0) break;
        this.#position += length;
        const lines = (this.#rest + this.#chunk.toString('latin1', 0, length)).split('\n');
        this.#rest = lines.pop() ?? '';
        for (const line of lines) this.entries.push(JSON.parse(line) as TraceEntry);
      }
    } finally {
      closeSync(file);
    }
    return this.entries.slice(before);
  }
}
