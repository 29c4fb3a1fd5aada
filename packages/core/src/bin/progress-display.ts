import { Presets, SingleBar } from 'cli-progress';
import type { RedriveProgress } from '../redrive/index.ts';

/** Where it is shown, a bar when it is a terminal. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

const LINE_EVERY_MS = 5_000;

/** Shows how far a redrive is: a bar on a terminal; elsewhere a line now and then. */
export class ProgressDisplay {
  readonly #stream: ProgressStream;
  readonly #limit: number;
  readonly #now: () => number;
  #bar: SingleBar | undefined;
  #saidAt: number | undefined;

  constructor(stream: ProgressStream, limit: number | undefined, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
    this.#now = now;
  }

  update(progress: RedriveProgress): void {
    const total = Math.min(progress.total, this.#limit);
    if (total === 0) return;
    // Gaps in the log are passed with the commits, and not sent.
    const passed = Math.min(total, Math.max(progress.sent, progress.total - progress.left));
    if (this.#stream.isTTY === true) this.#draw(passed, total);
    else this.#say(progress.sent, total);
  }

  /** Leaves the bar as it is, and the cursor on a line of its own. */
  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #draw(passed: number, total: number): void {
    if (this.#bar === undefined) {
      const format = '{bar} {percentage}% | {value} of {total} | {eta_formatted} left';
      this.#bar = new SingleBar({ stream: this.#stream, format, hideCursor: true }, Presets.shades_classic);
      this.#bar.start(total, passed);
    } else {
      this.#bar.update(passed);
    }
  }

  #say(sent: number, total: number): void {
    const now = this.#now();
    this.#saidAt ??= now;
    if (now - this.#saidAt < LINE_EVERY_MS) return;
    this.#saidAt = now;
    this.#stream.write(`sent ${sent} of ${total} at most\n`);
  }
}
