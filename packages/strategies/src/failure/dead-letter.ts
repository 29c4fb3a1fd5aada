import { type Brake, type Failure, type FailurePolicy, InvalidOptionError } from '@kafka-worker/core';
import { checkOptions, checkRange, checkTopic, checkWhole } from '../option-checks.ts';

/** Start with `topic`. */
export interface DeadLetterOptions {
  /** Where failed records go. A function chooses by the failure; it has to be pure, and if it throws the worker stops. */
  readonly topic: string | ((failure: Failure) => string);
  /** When so much fails that it cannot be the records, the worker stops instead. `false` for never. @defaultValue 100 in a row, or half of at least 100 within 60 s */
  readonly brake?: Brake | false;
}

/**
 * A failed record is written to another topic: key, value and headers byte for byte, and headers that say where it came from and why. It counts as
 * done when the broker has acknowledged that; one that cannot be written stays, its lane waits, and health says so.
 * @throws InvalidOptionError
 */
export function deadLetter(options: DeadLetterOptions): FailurePolicy {
  checkOptions('deadLetter', options, ['topic', 'brake']);
  const { topic, brake } = options;
  if (typeof topic !== 'function') checkTopic('deadLetter.topic', topic);
  checkBrake(brake);
  return {
    kind: 'failure',
    name: 'deadLetter',
    may: ['dead-letter'],
    decide: (failure) => ({
      do: 'dead-letter',
      topic: typeof topic === 'function' ? topic(failure) : topic,
      ...(brake === undefined ? {} : { brake }),
    }),
  };
}

function checkBrake(brake: Brake | false | undefined): void {
  if (brake === undefined || brake === false) return;
  if ((brake as unknown) === true) {
    throw new InvalidOptionError(
      'deadLetter.brake',
      'its limits, or false for none; left out it has its defaults',
      brake,
    );
  }
  checkOptions('deadLetter.brake', brake, ['maxConsecutive', 'maxRatio', 'minRecords', 'windowMs']);
  checkWhole('deadLetter.brake.maxConsecutive', brake.maxConsecutive, 1);
  checkRange('deadLetter.brake.maxRatio', brake.maxRatio, 0, 1);
  checkWhole('deadLetter.brake.minRecords', brake.minRecords, 1);
  checkRange('deadLetter.brake.windowMs', brake.windowMs, 1_000, 600_000);
}
