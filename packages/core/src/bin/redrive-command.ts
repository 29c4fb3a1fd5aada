import { InvalidOptionError } from '../errors.ts';
import type { KafkaCluster } from '../kafka-client.ts';
import { toError } from '../kafka-worker-error.ts';
import type { KafkaRecord, OutgoingRecord } from '../record.ts';
import { type RedriveProgress, type RedriveSummary, redrive } from '../redrive/index.ts';
import { readClusterConfig } from './cluster-config.ts';
import { ProgressDisplay, type ProgressStream } from './progress-display.ts';
import { parseRedriveArguments, type RedriveArguments, redriveUsage } from './redrive-arguments.ts';
import { UsageError } from './usage-error.ts';

/** Of a dry run, so many are shown one by one. */
const SHOWN = 10;

/** Where a command writes: results, and what is only to be watched. */
export interface CommandOutput {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: ProgressStream;
}

/**
 * `kafka-worker redrive`. Gives the exit code.
 * @throws UsageError, InvalidOptionError
 */
export async function redriveCommand(
  argv: readonly string[],
  { stdout, stderr }: CommandOutput,
  signal: AbortSignal,
): Promise<number> {
  const asked = parseRedriveArguments(argv);
  if (asked === 'help') {
    stdout.write(`${redriveUsage}\n`);
    return 0;
  }
  const { configFile, brokers, from, to, limit, perSecond, dryRun, groupId } = asked;
  const kafka = await clusterOf(asked);
  const display = new ProgressDisplay(stderr, limit);
  let last: RedriveProgress = { sent: 0, total: 0, left: 0 };
  let shown = 0;
  try {
    const summary = await redrive({
      ...{ kafka, from, dryRun, signal },
      ...(to === undefined ? {} : { to }),
      ...(limit === undefined ? {} : { limit }),
      ...(perSecond === undefined ? {} : { perSecond }),
      ...(groupId === undefined ? {} : { groupId }),
      onProgress: (progress) => {
        last = progress;
        if (!dryRun) display.update(progress);
      },
      onSent: (message, record) => {
        if (dryRun && shown++ < SHOWN) stdout.write(`${described(record, message)}\n`);
      },
    });
    display.end();
    stdout.write(`${resultOf(summary, asked)}\n`);
    return summary.endedBy === 'signal' ? 1 : 0;
  } catch (thrown) {
    display.end();
    if (thrown instanceof InvalidOptionError) throw namedAsFlag(thrown, configFile, brokers);
    stderr.write(`kafka-worker redrive: ${toError(thrown).message}\n`);
    if (last.total > 0 && !dryRun) {
      stderr.write(`${last.sent} sent before that; what was not sent is still in ${from}: run it again to go on\n`);
    }
    return 1;
  }
}

async function clusterOf({ configFile, brokers }: RedriveArguments): Promise<KafkaCluster> {
  const options = readClusterConfig(configFile, brokers);
  // Only now: --help and mistakes in the command line need no native client.
  const { confluentKafka } = await import('../confluent/index.ts');
  try {
    return confluentKafka(options);
  } catch (error) {
    throw error instanceof InvalidOptionError ? namedAsFlag(error, configFile, brokers) : error;
  }
}

/** The options of the function have other names than the flags. */
function namedAsFlag(error: InvalidOptionError, file: string | undefined, brokers: unknown): UsageError {
  const flags: Readonly<Record<string, string>> = { perSecond: 'rate', groupId: 'group' };
  const [, option = '', rest = ''] = /^([^:]*)(:.*)$/s.exec(error.message) ?? [];
  if (['from', 'to', 'limit', 'perSecond', 'groupId'].includes(option)) {
    return new UsageError(`--${flags[option] ?? option}${rest}`);
  }
  const isBroker = option.startsWith('brokers') && brokers !== undefined;
  return new UsageError(`${isBroker ? '--kafka' : (file ?? '--kafka')}: ${error.message}`);
}

function resultOf({ sent, left, total, targets, endedBy }: RedriveSummary, { from, dryRun }: RedriveArguments): string {
  const counts = Object.entries(targets).map(([topic, count]) => `${topic} ${count}`);
  const to = counts.length === 0 ? '' : ` (${counts.join(', ')})`;
  const letters = sent === 1 ? '1 dead letter' : `${sent} dead letters`;
  if (dryRun) {
    const ended = endedBy === 'signal' ? 'interrupted: ' : '';
    return `${ended}${letters} of ${from} would be sent${to}; nothing was written, and nothing committed`;
  }
  if (endedBy === 'signal')
    return `interrupted: ${letters} sent${to}, at most ${left} of ${total} left: run it again to go on`;
  return `${letters} sent${to}${left > 0 ? `, at most ${left} left in ${from}` : ''}`;
}

function described({ topic, partition, offset, key }: KafkaRecord, message: OutgoingRecord): string {
  const target = message.partition === undefined ? message.topic : `${message.topic}/${message.partition}`;
  const size = message.value === null ? 'no value' : `${message.value.length} bytes`;
  return `${topic}/${partition} offset ${offset} to ${target}: key ${JSON.stringify(key?.toString() ?? null)}, ${size}`;
}
