import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type AnyWorker, isKafkaWorkerError } from '@kafka-worker/core';

const MAX_BODY_BYTES = 4_096;
const BODY_MS = 5_000;
const WAIT_MS = 15_000;
/** Guesses of a token that are answered in so long; then nobody's are, for as long. */
const MAX_WRONG = 10;
const WRONG_WINDOW_MS = 10_000;

/** What comes back of an action, as JSON. */
export interface ActionAnswer {
  readonly status: number;
  readonly body: { readonly done: string } | { readonly error: string };
}

/** What a button asks for. */
interface Unfreezing {
  readonly worker: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly skip: boolean;
}

/** What buttons do. Only with the token: it comes in a header, which no page of somebody else can send, and is compared in constant time. */
export class BoardActions {
  readonly #secret = randomBytes(32);
  readonly #token: Buffer | undefined;
  readonly #find: (id: number) => AnyWorker | undefined;
  readonly #waitMs: number;
  readonly #wrongAt: number[] = [];

  /**
   * @param token without one there are no actions
   * @param waitMs a worker whose client hangs does not get to it
   */
  constructor(token: string | undefined, find: (id: number) => AnyWorker | undefined, waitMs: number = WAIT_MS) {
    this.#waitMs = waitMs;
    this.#token = token === undefined ? undefined : this.#digest(token);
    this.#find = find;
  }

  async unfreeze(request: IncomingMessage): Promise<ActionAnswer> {
    const refused = this.#refusal(request);
    if (refused !== undefined) return refused;
    const asked = unfreezing(await bodyOf(request));
    if (asked === undefined)
      return failed(400, 'expected JSON with worker, topic, partition, offset and skip, at most 4096 bytes');
    const { worker: id, topic, partition, offset, skip } = asked;
    const worker = this.#find(id);
    if (worker === undefined) return failed(404, 'there is no such worker any more');
    try {
      // By the offset that was looked at: what has gone on since is left alone.
      const isDone = await this.#within(worker.unfreeze({ topic, partition, offset, skip }));
      if (!isDone)
        return failed(504, `the worker has not answered for ${this.#waitMs} ms: what was asked for may still happen`);
      const what = skip ? 'was passed over' : 'is tried again';
      return { status: 200, body: { done: `${topic}/${partition}: offset ${offset} ${what}` } };
    } catch (thrown) {
      const isWrong = isKafkaWorkerError(thrown) && thrown.code === 'INVALID_OPTION';
      return failed(isWrong ? 400 : 409, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  #refusal({ headers }: IncomingMessage): ActionAnswer | undefined {
    if (this.#token === undefined)
      return failed(403, 'the board has no actions: give it allowActions with a token, or call worker.unfreeze()');
    const now = performance.now();
    while (this.#wrongAt[0] !== undefined && now - this.#wrongAt[0] > WRONG_WINDOW_MS) this.#wrongAt.shift();
    if (this.#wrongAt.length >= MAX_WRONG) return failed(429, 'too many wrong tokens: wait ten seconds');
    const given = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
    if (given !== undefined && timingSafeEqual(this.#digest(given), this.#token)) return undefined;
    if (given !== undefined) this.#wrongAt.push(now);
    return failed(401, given === undefined ? 'the token is missing' : 'the token is wrong');
  }

  async #within(done: Promise<void>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#waitMs);
    });
    try {
      return await Promise.race([done.then(() => true), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Of one length, and unknown to whoever guesses. */
  #digest(text: string): Buffer {
    return createHmac('sha256', this.#secret).update(text).digest();
  }
}

function failed(status: number, error: string): ActionAnswer {
  return { status, body: { error } };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const timer = setTimeout(() => request.destroy(), BODY_MS);
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // What is too long is read to its end, so that the answer is, too.
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
    }
    if (bytes > MAX_BODY_BYTES) return undefined;
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

function unfreezing(body: unknown): Unfreezing | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { worker, topic, partition, offset, skip } = body as Partial<Unfreezing>;
  const areNumbers = [worker, partition, offset].every((value) => Number.isSafeInteger(value));
  return areNumbers && typeof topic === 'string' && typeof skip === 'boolean' ? (body as Unfreezing) : undefined;
}
