import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { archivedClasses, archivingClasses } from './tool-classes.ts';

/** The version of the broker, and of Kafka's own tools, that the tests run against; docker-compose.yml names it too. */
export const kafkaVersion = '4.3.1';

const artifacts: readonly (readonly [group: string, artifact: string, version: string])[] = [
  ['org.apache.kafka', 'kafka_2.13', kafkaVersion],
  ['org.apache.kafka', 'kafka-tools', kafkaVersion],
  ['org.slf4j', 'slf4j-simple', '1.7.36'],
];

/** The oldest Java that this Kafka runs on. */
const javaFloor = 17;

/** The Debian packages without which there is no broker on this machine; empty when Java is new enough and Maven is there. */
export function missingForKafka(env: NodeJS.ProcessEnv = process.env): readonly string[] {
  const java = javaVersion(env);
  const missing = java === undefined || java < javaFloor ? [`openjdk-${javaFloor}-jre-headless`] : [];
  // Maven fetches the jars, and nothing else.
  const hasMaven = existsSync(jarDirectory(env)) || spawnSync('mvn', ['-v'], { stdio: 'ignore', env }).status === 0;
  return hasMaven ? missing : [...missing, 'maven'];
}

/** What keeps Kafka from running on this machine and the command that mends it; `undefined` when nothing does. */
export function whyNoKafka(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const missing = missingForKafka(env);
  if (missing.length === 0) return undefined;
  const java = javaVersion(env);
  const tooOld = java !== undefined && java < javaFloor ? `; the java on the PATH is Java ${java}` : '';
  const install = `sudo apt-get update && sudo apt-get install ${missing.join(' ')}`;
  const needed = missing.includes('maven') ? `Java ${javaFloor} or newer and Maven` : `Java ${javaFloor} or newer`;
  return `a local Kafka needs ${needed}${tooOld}. On Debian: ${install}`;
}

/** The major version of the Java on the path; `undefined` where there is none that says which it is. */
function javaVersion(env: NodeJS.ProcessEnv): number | undefined {
  const { status, stdout, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8', env });
  // Java 8 and older call themselves 1.8 and so on.
  const version = status === 0 ? /version "(?:1\.)?(\d+)/.exec(stdout + stderr)?.[1] : undefined;
  return version === undefined ? undefined : Number(version);
}

/** Kafka's jars, fetched from Maven Central once and kept in the user's cache, so that a fresh clone has them too. */
export function kafkaJars(say: (line: string) => void = () => {}): string {
  const directory = jarDirectory();
  if (existsSync(directory)) return directory;
  const obstacle = whyNoKafka();
  if (obstacle !== undefined) throw new Error(obstacle);
  say(`fetching Apache Kafka ${kafkaVersion} from Maven Central (54 MB) …`);
  const parent = join(directory, '..');
  mkdirSync(parent, { recursive: true });
  const temporary = mkdtempSync(join(parent, 'fetching-'));
  try {
    writeFileSync(join(temporary, 'pom.xml'), pom());
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=jars'];
    const maven = spawnSync('mvn', ['-q', '-B', ...goal], {
      cwd: temporary,
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    if (maven.status !== 0) throw new Error(`Maven could not fetch Kafka:\n${maven.stdout}${maven.stderr}`);
    // Renamed into place as a whole: whoever finds the directory finds it complete.
    if (!existsSync(directory)) renameSync(join(temporary, 'jars'), directory);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return directory;
}

/** What a tool of Kafka said and how it ended. */
export interface KafkaToolResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs one of Kafka's own command line tools, `kafkaTool('TopicCommand', ['--bootstrap-server', …])`. Takes the
 * short name of a class or a full one. Resolves also when the tool fails: its exit code is part of the answer.
 */
export function kafkaTool(name: string, args: readonly string[]): Promise<KafkaToolResult> {
  return new Promise((resolve, reject) => {
    const archiving = archivingClasses(kafkaJars());
    const command = [...archiving.options, ...kafkaToolCommand(name, args)];
    const child = spawn('java', command, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (exitCode) => {
      archiving.ended();
      resolve({ exitCode: exitCode ?? 1, stdout, stderr });
    });
  });
}

/** The arguments for `java` that run a tool of Kafka. */
export function kafkaToolCommand(name: string, args: readonly string[]): string[] {
  const jars = kafkaJars();
  const brief = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...archivedClasses(jars)];
  const options = [...brief, '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'];
  return [...options, '-cp', join(jars, '*'), toolClass(name), ...args];
}

function toolClass(name: string): string {
  if (name.includes('.')) return name;
  if (name === 'ConfigCommand') return `kafka.admin.${name}`;
  if (name === 'StorageTool') return `kafka.tools.${name}`;
  if (name === 'ConsumerGroupCommand' || name === 'ShareGroupCommand')
    return `org.apache.kafka.tools.consumer.group.${name}`;
  return `org.apache.kafka.tools.${name}`;
}

function jarDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'kafka-ts-worker', `kafka-${kafkaVersion}`);
}

function pom(): string {
  const dependencies = artifacts.map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>${dependencies.join('')}</dependencies>
</project>
`;
}
