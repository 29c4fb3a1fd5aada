import { HandlerError } from './handler-errors.ts';
import type { Logger } from './logger.ts';

/**
 * What else went wrong beside the error that the summary has. Handlers that ran at once may all fail while the worker ends: these are one line, for a
 * thousand of them would bury everything else.
 */
export function logLateErrors(errors: readonly Error[], logger: Logger): void {
  const ofHandlers = errors.filter((error) => error instanceof HandlerError);
  for (const error of errors)
    if (!(error instanceof HandlerError)) logger.error('something went wrong while stopping', { error });
  const [first] = ofHandlers;
  if (first !== undefined)
    logger.error('more handlers failed while stopping', { count: ofHandlers.length, error: first });
}
