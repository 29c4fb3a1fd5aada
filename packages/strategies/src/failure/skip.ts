import type { FailurePolicy } from '@kafka-worker/core';
import { checkBoolean, checkOptions } from '../option-checks.ts';

export interface SkipOptions {
  /** Writes an error line with the record's place and the error. @defaultValue true */
  readonly log?: boolean;
}

/**
 * A record whose handler failed counts as done, and its offset is committed with the others: the record is lost to this group.
 * @throws InvalidOptionError
 */
export function skip(options: SkipOptions = {}): FailurePolicy {
  checkOptions('skip', options, ['log']);
  const { log = true } = options;
  checkBoolean('skip.log', log);
  return { kind: 'failure', name: 'skip', may: ['skip'], decide: () => ({ do: 'skip', log }) };
}
