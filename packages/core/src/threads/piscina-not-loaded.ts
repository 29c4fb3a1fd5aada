import { MissingDependencyError } from '../errors.ts';
import { toError } from '../kafka-worker-error.ts';

const COMMAND = 'npm install piscina';

/** Why the thread pool cannot be used: it is not there, or it is and does not load. */
export function piscinaNotLoaded(cause: unknown): MissingDependencyError {
  const { code, message } = (cause ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  if (isMissing && String(message).includes("'piscina'"))
    return new MissingDependencyError(`inThreads() needs piscina: ${COMMAND}`, { cause });
  const reason = toError(cause).message;
  return new MissingDependencyError(
    `inThreads() needs piscina, which is installed and does not load: ${reason}. If it is an old one: ${COMMAND}@5`,
    { cause },
  );
}
