import type { Engine } from './engine.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';

/**
 * What should move and does not, for no reason that passes or that somebody knows of: the process should be restarted. What waits for a retry, a slot, a
 * rate, a broker, a rebalance or a person is not among it.
 */
export function stallsOf(
  engine: Engine,
  { stallMs, onStuckHandler }: Pick<ResolvedWorkerOptions, 'stallMs' | 'onStuckHandler'>,
  now: number,
): string[] {
  const reasons: string[] = [];
  const sincePollMs = now - engine.polledAt;
  if (sincePollMs >= stallMs)
    reasons.push(`nothing has been polled for ${seconds(sincePollMs)}: the loop does not turn`);
  for (const owner of engine.assignment) {
    const { topic, partition, ledger } = owner;
    const name = `${topic}/${partition}`;
    const startableSince = engine.progress.startableSince(owner);
    if (startableSince !== undefined && now - startableSince >= stallMs)
      reasons.push(
        `${name}: none of its ${ledger.openCount} records has been started for ${seconds(now - startableSince)}, from offset ${ledger.nextOffset} on, although nothing is in their way`,
      );
    const behindSince = engine.progress.of(owner)?.behindSince;
    if (behindSince !== undefined && now - behindSince >= stallMs)
      reasons.push(
        `${name}: nothing has been read for ${seconds(now - behindSince)} at offset ${ledger.position}, although there is more to read and room for it`,
      );
  }
  if (onStuckHandler === 'release') return reasons;
  for (const [{ first }, since] of engine.deadlines.stuck()) {
    const { topic, partition, offset } = first.received;
    reasons.push(
      `${topic}/${partition}: the handler of offset ${offset} ignores its aborted signal for ${seconds(now - since)}`,
    );
  }
  return reasons;
}

export function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 1_000))} s`;
}
