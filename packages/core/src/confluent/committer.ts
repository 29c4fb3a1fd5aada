import { type AuthorizationError, CommitError, type CommitFailure, IllegalStateError } from '../errors.ts';
import type { NextOffset } from '../record.ts';
import { isGroupLevelCode, isRetriableCode, type NativeError, nativeCode, toNativeError } from './client-errors.ts';
import { groupRefused, topicRefused } from './refusals.ts';

/** For a commit with all its repetitions. Longer than a coordinator takes to move, shorter than anybody's patience with a stop. */
const ACK_MS = 15_000;

interface Request {
  readonly offsets: readonly NextOffset[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface InFlight {
  readonly key: string;
  readonly answer: (error: NativeError | undefined) => void;
}

/**
 * Commits with the broker's answer. librdkafka's own commit calls return when the commit is queued; what became of it comes back as an
 * event that names offsets but neither the commit nor the partition that failed. So one native commit is in flight at a time, what is
 * asked for meanwhile is joined into the next one, and a refused commit is repeated partition by partition to learn which one it was.
 */
export class Committer {
  readonly #commit: (offsets: NextOffset[]) => void;
  readonly #hurry: () => void;
  readonly #groupId: string;
  #waiting: Request[] = [];
  #inFlight: InFlight | undefined;
  /** Commits that were given up and whose answers are still on the way, by what their answers will name. */
  readonly #givenUp = new Map<string, number>();
  #isRunning = false;
  #isClosed = false;
  #idle: Promise<void> = Promise.resolve();

  /** `commit` hands offsets to librdkafka; `hurry` says that an answer is waited for. */
  constructor(commit: (offsets: NextOffset[]) => void, hurry: () => void, groupId = '') {
    this.#commit = commit;
    this.#hurry = hurry;
    this.#groupId = groupId;
  }

  /** The offsets are checked already, and each partition is in it once. */
  commit(offsets: readonly NextOffset[]): Promise<void> {
    if (this.#isClosed) return Promise.reject(new IllegalStateError('the consumer is closed'));
    if (offsets.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ offsets, resolve, reject });
      if (!this.#isRunning) this.#idle = this.#run();
    });
  }

  /** librdkafka's `offset.commit` event. */
  acknowledged(thrown: unknown, offsets: readonly NextOffset[]): void {
    const key = keyOf(offsets);
    // Answers come in the order of their commits, so the first one is that of the commit that was given up, the same offsets or not.
    if (this.#isOfGivenUp(key) || this.#inFlight?.key !== key) return;
    this.#inFlight.answer(thrown === undefined || thrown === null ? undefined : toNativeError(thrown));
  }

  #isOfGivenUp(key: string): boolean {
    const count = this.#givenUp.get(key);
    if (count === undefined) return false;
    if (count > 1) this.#givenUp.set(key, count - 1);
    else this.#givenUp.delete(key);
    return true;
  }

  /** Takes nothing more. Resolves when what was taken has been answered. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#idle;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const requests = this.#waiting;
      this.#waiting = [];
      const failures = await this.#commitAll(latestOf(requests));
      for (const request of requests) settle(request, failures, this.#groupId);
    }
    this.#isRunning = false;
  }

  async #commitAll(offsets: NextOffset[]): Promise<Map<string, CommitFailure>> {
    const failures = new Map<string, CommitFailure>();
    const deadline = performance.now() + ACK_MS;
    const error = await this.#once(offsets, ACK_MS);
    if (error === undefined) return failures;
    // What was answered for one partition and holds for all of them.
    let forAll = offsets.length === 1 || isGroupLevelCode(error.code) ? error : undefined;
    for (const offset of offsets) {
      const own = forAll ?? (await this.#once([offset], deadline - performance.now()));
      if (own === undefined) continue;
      if (isGroupLevelCode(own.code)) forAll = own;
      const { topic, partition } = offset;
      failures.set(nameOf(offset), {
        topic,
        partition,
        offset: offset.offset,
        kafkaCode: own.code,
        reason: own.message,
      });
    }
    return failures;
  }

  #once(offsets: NextOffset[], timeoutMs: number): Promise<NativeError | undefined> {
    const late = { code: nativeCode.timedOut, message: `no acknowledgement within ${ACK_MS} ms` };
    if (timeoutMs <= 0) return Promise.resolve(late);
    return new Promise((resolve) => {
      const finish = (error: NativeError | undefined): void => {
        clearTimeout(timer);
        this.#inFlight = undefined;
        resolve(error);
      };
      const key = keyOf(offsets);
      const giveUp = (): void => {
        this.#givenUp.set(key, (this.#givenUp.get(key) ?? 0) + 1);
        finish(late);
      };
      const timer = setTimeout(giveUp, timeoutMs);
      this.#inFlight = { key, answer: finish };
      try {
        this.#commit(offsets);
        this.#hurry();
      } catch (thrown) {
        finish(toNativeError(thrown));
      }
    });
  }
}

function settle(
  { offsets, resolve, reject }: Request,
  failures: ReadonlyMap<string, CommitFailure>,
  groupId: string,
): void {
  const own = offsets.map((offset) => failures.get(nameOf(offset))).filter((failure) => failure !== undefined);
  if (own.length === 0) {
    resolve();
    return;
  }
  const retriable = own.every((failure) => isRetriableCode(failure.kafkaCode));
  reject(new CommitError(own, { retriable, cause: refusal(own, groupId) }));
}

/** The right that is missing, where that is why: to commit, a topic and the group must be readable. */
function refusal(failures: readonly CommitFailure[], groupId: string): AuthorizationError | undefined {
  const withCode = (code: number): readonly CommitFailure[] => failures.filter(({ kafkaCode }) => kafkaCode === code);
  const [group] = withCode(nativeCode.groupAuthorizationFailed);
  if (group !== undefined) return groupRefused('READ', groupId, group.reason);
  const [topic] = withCode(nativeCode.topicAuthorizationFailed);
  return topic === undefined ? undefined : topicRefused('READ', [topic.topic], topic.reason);
}

/** Of each partition what was asked for last. */
function latestOf(requests: readonly Request[]): NextOffset[] {
  const latest = new Map<string, NextOffset>();
  for (const { offsets } of requests) for (const offset of offsets) latest.set(nameOf(offset), offset);
  return [...latest.values()];
}

function nameOf({ topic, partition }: NextOffset): string {
  return `${partition} ${topic}`;
}

function keyOf(offsets: readonly NextOffset[]): string {
  return offsets
    .map((offset) => `${nameOf(offset)} ${offset.offset}`)
    .sort()
    .join('\n');
}
