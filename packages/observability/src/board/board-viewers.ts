import type { ServerResponse } from 'node:http';

const MAX_VIEWERS = 32;
const EVERY_MS = 1_000;
/** Whoever has not read one snapshot while so many others were made reads nothing. */
const MAX_MISSED = 10;
/** Making snapshots takes at most one part in so many of the process's time: where there are very many lanes, they are made more seldom. */
const SHARE = 50;

/** Who looks at the board, over Server-Sent Events. While there is nobody, no snapshot is made. */
export class BoardViewers {
  readonly #makeSnapshot: () => object;
  readonly #everyMs: number;
  readonly #maxMissed: number;
  /** Each with how many snapshots in a row it was not ready for. */
  readonly #viewers = new Map<ServerResponse, number>();
  #timer: NodeJS.Timeout | undefined;
  #last = { text: '', madeAt: Number.NEGATIVE_INFINITY, tookMs: 0 };
  #isClosed = false;

  /** @param makeSnapshot may throw: then the viewers are told why */
  constructor(
    makeSnapshot: () => object,
    { everyMs = EVERY_MS, maxMissed = MAX_MISSED }: { readonly everyMs?: number; readonly maxMissed?: number } = {},
  ) {
    this.#makeSnapshot = makeSnapshot;
    this.#everyMs = everyMs;
    this.#maxMissed = maxMissed;
  }

  get count(): number {
    return this.#viewers.size;
  }

  /** Sends to it until one side ends that. False when there are too many already. */
  add(response: ServerResponse): boolean {
    if (this.#isClosed || this.#viewers.size >= MAX_VIEWERS) return false;
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' });
    response.on('close', () => this.#remove(response));
    response.on('error', () => this.#remove(response));
    this.#viewers.set(response, 0);
    this.#refresh();
    response.write(`retry: 2000\n\n${this.#last.text}`);
    this.#schedule();
    return true;
  }

  /** Ends all of them at once. */
  close(): void {
    this.#isClosed = true;
    for (const viewer of this.#viewers.keys()) viewer.destroy();
    this.#viewers.clear();
    clearTimeout(this.#timer);
  }

  #remove(response: ServerResponse): void {
    this.#viewers.delete(response);
    if (this.#viewers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // Timers count whole milliseconds, and may fire a part of one early.
      if (this.#refresh()) for (const [viewer, missed] of this.#viewers) this.#send(viewer, missed);
      if (this.#viewers.size > 0) this.#schedule();
    }, this.#dueInMs()).unref();
  }

  /** What is being read is left to be read, and nothing is kept behind it. Who does not read at all is dropped: its browser comes back by itself. */
  #send(viewer: ServerResponse, missed: number): void {
    if (!viewer.writableNeedDrain) {
      this.#viewers.set(viewer, 0);
      viewer.write(this.#last.text);
    } else if (missed < this.#maxMissed) this.#viewers.set(viewer, missed + 1);
    else viewer.destroy();
  }

  /** However many come at once, they get the same snapshot. False when it is not time yet for another one. */
  #refresh(): boolean {
    if (this.#dueInMs() > 0) return false;
    const madeAt = performance.now();
    const text = this.#snapshotText();
    this.#last = { text, madeAt, tookMs: performance.now() - madeAt };
    return true;
  }

  #dueInMs(): number {
    const { madeAt, tookMs } = this.#last;
    return Math.max(0, Math.ceil(madeAt + Math.max(this.#everyMs, tookMs * SHARE) - performance.now()));
  }

  #snapshotText(): string {
    try {
      return `event: snapshot\ndata: ${JSON.stringify(this.#makeSnapshot())}\n\n`;
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      return `event: trouble\ndata: ${JSON.stringify({ message })}\n\n`;
    }
  }
}
