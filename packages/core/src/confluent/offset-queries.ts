import { AuthorizationError, ClientError } from '../errors.ts';
import type { CommittedOffset, LogPosition, StartOffset, Watermarks } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { NextOffset, TopicPartition } from '../record.ts';
import { nativeCode, toNativeError } from './client-errors.ts';
import { checkNotHidden, refusalOf } from './hidden-topics.ts';
import { highWatermarks } from './high-watermarks.ts';
import { nativePosition } from './native-arguments.ts';
import type { NativeConsumer } from './native-client.ts';
import type { RawClient } from './raw-client.ts';
import { groupRefused, isTopicRefusal, topicRefused } from './refusals.ts';

const REQUEST_MS = 10_000;

/** What the protocol has in place of a time: the log's start and its end. */
const EARLIEST = -2;
const LATEST = -1;

/** Asking for more topics than this one by one is dearer than asking for all at once. */
const MAX_NAMED_TOPICS = 16;

const internalTopics: ReadonlySet<string> = new Set([
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
  '__cluster_metadata',
]);

/** What the group has committed. @throws ClientError, ConnectionError, AuthorizationError */
export async function committedOffsets(
  raw: RawClient<NativeConsumer>,
  partitions: TopicPartition[],
  groupId: string,
): Promise<CommittedOffset[]> {
  if (partitions.length === 0) return [];
  const what = 'committed offsets cannot be read';
  const answer = await raw
    .call<unknown[]>(what, REQUEST_MS, (native, done) => native.committed(partitions, REQUEST_MS, done))
    .catch((error: unknown) => {
      throw error instanceof AuthorizationError ? groupRefused('DESCRIBE', groupId, error) : error;
    });
  return partitions.map((asked, i) => {
    const { offset, metadata, leaderEpoch } = elementOf(answer, i, asked, what) as Partial<NextOffset>;
    const isThere = typeof offset === 'number' && offset >= 0;
    return {
      ...asked,
      offset: isThere ? offset : undefined,
      metadata: isThere && metadata !== '' ? metadata : undefined,
      ...(isThere && leaderEpoch !== undefined ? { leaderEpoch } : {}),
    };
  });
}

/** Where the log of one partition begins and ends, open transactions included. @throws ClientError, ConnectionError, AuthorizationError */
export async function logRange(raw: RawClient<NativeConsumer>, partition: TopicPartition): Promise<Watermarks> {
  const [earliest] = await resolveOffsets(raw, [partition], 'earliest');
  const [latest] = await resolveOffsets(raw, [partition], 'high-watermark');
  if (earliest === undefined || latest === undefined) throw new ClientError('the broker gave no range');
  return { earliest: earliest.offset, latest: latest.offset };
}

/** Where logs begin, end, or reach a date. @throws InvalidOptionError, ClientError, ConnectionError, AuthorizationError */
export async function resolveOffsets(
  raw: RawClient<NativeConsumer>,
  partitions: readonly TopicPartition[],
  position: LogPosition,
): Promise<StartOffset[]> {
  const checked = nativePosition('position', position);
  if (partitions.length === 0) return [];
  try {
    return await lookUp(raw, partitions, checked);
  } catch (error) {
    if (!isOfFormerLeader(error)) throw error;
    // A broker that has come back leads in a new epoch, of which librdkafka hears by itself where it fetches; for the direct reader it does not.
    for (const topic of new Set(partitions.map((one) => one.topic))) await raw.metadata(topic, REQUEST_MS);
    return lookUp(raw, partitions, checked);
  }
}

/** What brokers say to whoever takes them, or another one, for the leader of a time that is over. */
function isOfFormerLeader(error: unknown): boolean {
  return error instanceof ClientError && error.retriable && /broker: .*leader/i.test(error.message);
}

async function lookUp(
  raw: RawClient<NativeConsumer>,
  partitions: readonly TopicPartition[],
  position: LogPosition,
): Promise<StartOffset[]> {
  const what = 'offsets cannot be looked up';
  const asking =
    position === 'high-watermark'
      ? highWatermarks(raw, partitions, what, REQUEST_MS)
      : offsetsForTime(raw, partitions, what, timeOf(position));
  const answer = await asking.catch(async (error: unknown) => {
    if ((error as KafkaWorkerError).retriable) throw error;
    // Of topics that are hidden from us the client says that it does not know their partitions.
    const topics = [...new Set(partitions.map(({ topic }) => topic))];
    const refusal = await refusalOf(raw, topics);
    if (refusal !== undefined) throw refusal;
    const { code } = toNativeError((error as Error).cause);
    const isLeaderless = code === nativeCode.unknownPartition && (await areThere(raw, partitions));
    // Of partitions that have no leader now it says the same.
    if (isLeaderless)
      throw new ClientError(`${what}: no broker leads these partitions now`, { retriable: true, cause: error });
    throw error;
  });
  const starts = partitions.map((partition, i) => {
    const { offset } = elementOf(answer, i, partition, what) as { offset?: number };
    return { ...partition, offset: typeof offset === 'number' ? offset : -1 };
  });
  // No record is that young: the end it is.
  const beyond = starts.filter((start) => start.offset < 0);
  if (beyond.length === 0) return starts;
  if (typeof position === 'string') throw new ClientError(`${what}: the broker gave none`, { retriable: true });
  const ends = await resolveOffsets(
    raw,
    beyond.map(({ topic, partition }) => ({ topic, partition })),
    'latest',
  );
  return starts.map((start) => {
    const isEnd = (end: StartOffset): boolean => end.topic === start.topic && end.partition === start.partition;
    return start.offset < 0 ? (ends.find(isEnd) ?? start) : start;
  });
}

/** Whether the cluster has these partitions. */
async function areThere(raw: RawClient<NativeConsumer>, partitions: readonly TopicPartition[]): Promise<boolean> {
  for (const topic of new Set(partitions.map((one) => one.topic))) {
    const { topics } = await raw.metadata(topic, REQUEST_MS);
    const count = topics.find(({ name }) => name === topic)?.partitions.length ?? 0;
    if (partitions.some((one) => one.topic === topic && one.partition >= count)) return false;
  }
  return true;
}

function offsetsForTime(
  raw: RawClient<NativeConsumer>,
  partitions: readonly TopicPartition[],
  what: string,
  time: number,
): Promise<unknown[]> {
  const asked = partitions.map((partition) => ({ ...partition, offset: time }));
  return raw.call(what, REQUEST_MS, (native, done) => native.offsetsForTimes(asked, REQUEST_MS, done));
}

function timeOf(position: 'earliest' | 'latest' | Date): number {
  if (position === 'earliest') return EARLIEST;
  if (position === 'latest') return LATEST;
  return Math.max(0, position.getTime());
}

/**
 * Partition counts of these topics, or of all but internal ones.
 * @throws AuthorizationError for a topic that is named and hidden from us, ClientError, ConnectionError
 */
export async function partitionCounts(
  raw: RawClient<NativeConsumer>,
  topics: readonly string[] | undefined,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  const isOneByOne = topics !== undefined && topics.length <= MAX_NAMED_TOPICS;
  for (const topic of isOneByOne ? topics : [undefined]) {
    for (const { name, partitions } of (await raw.metadata(topic, REQUEST_MS)).topics) {
      const isAsked = topics === undefined ? !internalTopics.has(name) : topics.includes(name);
      if (isAsked && partitions.length > 0) counts.set(name, partitions.length);
    }
  }
  await checkNotHidden(raw, topics?.filter((topic) => !counts.has(topic)) ?? []);
  return counts;
}

/** Where a partition failed, the client puts an Error into the list in its place. */
function elementOf(answer: readonly unknown[], i: number, asked: TopicPartition, what: string): object {
  const element = answer[i];
  if (typeof element === 'object' && element !== null && 'topic' in element) return element;
  const reason = (element as { message?: string } | undefined)?.message ?? 'no answer';
  // There is no code, only librdkafka's text for it.
  if (isTopicRefusal(reason)) throw topicRefused('DESCRIBE', [asked.topic], element);
  if (/authorization/i.test(reason))
    throw new AuthorizationError(`${asked.topic}/${asked.partition}: ${what}: ${reason}`, { cause: element });
  const isHopeless = /unknown topic|unknown partition|invalid/i.test(reason);
  throw new ClientError(`${asked.topic}/${asked.partition}: ${what}: ${reason}`, {
    retriable: !isHopeless,
    cause: element,
  });
}
