import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { kafkaVersion } from './kafka-jars.ts';
import { processIdentity } from './process-identity.ts';

/** A `java` for tests of what starts and stops brokers: its brokers run until they are stopped and never answer. */
export interface FakeJava {
  /** Puts it before every other `java`; what else a program needs is there too. */
  readonly env: NodeJS.ProcessEnv;
  /** Processes that were started with it and have not ended. */
  readonly running: () => readonly number[];
  readonly remove: () => void;
}

/** How it behaves. */
export interface FakeJavaOptions {
  readonly version?: string;
  /** Formats until it is stopped. */
  readonly formatsForever?: boolean;
  /** The broker that ends as soon as it has started. */
  readonly failingBroker?: number;
}

/** Makes one in a directory of its own, with an empty cache of Kafka's jars. */
export function fakeJava(options: FakeJavaOptions = {}): FakeJava {
  const { version = '17.0.15', formatsForever = false, failingBroker = 0 } = options;
  const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-java-'));
  const started = join(directory, 'started');
  mkdirSync(started);
  mkdirSync(join(directory, 'kafka-ts-worker', `kafka-${kafkaVersion}`), { recursive: true });
  const program = `#!${process.execPath}
    const args = process.argv.slice(2);
    const goOn = () => setInterval(() => {}, 60_000);
    if (args[0] === '-version') {
      console.error('openjdk version "${version}" 2025-04-15');
    } else {
      require('node:fs').writeFileSync(${JSON.stringify(started)} + '/' + process.pid, '');
      if (args.includes('kafka.tools.StorageTool')) ${formatsForever ? 'goOn();' : '{}'}
      else if (args.at(-1).includes('/broker-${failingBroker}/')) process.exitCode = 1;
      else goOn();
    }
  `;
  writeFileSync(join(directory, 'java'), program);
  chmodSync(join(directory, 'java'), 0o755);
  const running = (): number[] =>
    readdirSync(started)
      .map(Number)
      .filter((pid) => processIdentity(pid) !== undefined);
  return {
    env: {
      ...process.env,
      PATH: [directory, process.env.PATH].join(delimiter),
      XDG_CACHE_HOME: directory,
    },
    running,
    remove: () => {
      for (const pid of running()) process.kill(pid, 'SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
