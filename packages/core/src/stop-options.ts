/** How a worker is stopped. */
export interface StopOptions {
  /**
   * `'in-flight'` finishes what runs, and what was polled and overtaken by something that was started, for otherwise that would come again;
   * `'drain'` everything that was polled. @defaultValue `'in-flight'`
   */
  readonly mode?: 'in-flight' | 'drain';
  /**
   * How long handlers may take; then their signals are aborted. What was overtaken is started in the first half of it. In milliseconds.
   * @defaultValue 25_000
   */
  readonly timeoutMs?: number;
  /**
   * A static member (`groupInstanceId`, KIP-345) stays in the group, so that its partitions wait for its return; with `true` it leaves, for scaling
   * in. Others leave always. @defaultValue false
   */
  readonly leaveGroup?: boolean;
}

const DEFAULT_STOP_TIMEOUT_MS = 25_000;

/** With the defaults in place. */
export function resolveStopOptions({
  mode = 'in-flight',
  timeoutMs = DEFAULT_STOP_TIMEOUT_MS,
  leaveGroup = false,
}: StopOptions = {}): Required<StopOptions> {
  return { mode, timeoutMs, leaveGroup };
}
