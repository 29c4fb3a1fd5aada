/** How a worker is stopped. */
export interface StopOptions {
  /** `'in-flight'` finishes what runs, `'drain'` also what was polled. @defaultValue `'in-flight'` */
  readonly mode?: 'in-flight' | 'drain';
  /** How long handlers may take; then their signals are aborted. In milliseconds. @defaultValue 25_000 */
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
