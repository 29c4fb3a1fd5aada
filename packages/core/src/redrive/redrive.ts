import { type RedriveOptions, type RedriveSummary, resolveRedriveOptions } from './redrive-options.ts';
import { RedriveRun } from './redrive-run.ts';

/**
 * Sends dead letters back to where they came from, or to another topic: key, value and headers byte for byte, without what made them dead letters.
 *
 * It takes what the topic has when it starts, and what its group has not committed: a second run goes on where the first one ended. An offset is
 * committed when the broker has acknowledged the write, and every one before it, so nothing that was read is lost; what was written after the last
 * commit is written again when a run was killed. It is over with the first one that cannot be written, which is then the next run's first.
 *
 * @throws InvalidOptionError for options that cannot be used
 * @throws UnknownTopicError when `from` or `to` does not exist; nothing is ever created
 * @throws HandlerError for a dead letter that cannot be sent; its `cause` says why: a `ProduceError`, an `UnknownTopicError`, an `InvalidOptionError`
 * when it does not say where it came from
 * @throws ConnectionError and whatever else keeps a worker from its work
 */
export async function redrive(options: RedriveOptions): Promise<RedriveSummary> {
  return new RedriveRun(resolveRedriveOptions(options)).run();
}
