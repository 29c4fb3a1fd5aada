import { MissingDependencyError } from '../errors.ts';

const COMMAND = 'npm install --save-dev @confluentinc/kafka-javascript koffi';

/** Why the Kafka client cannot be used: it is not there, or it is and its native part does not load, which the same command need not mend. */
export function clientNotLoaded(cause: unknown): MissingDependencyError {
  if (isNotInstalled(cause))
    return new MissingDependencyError(`embeddedKafka() needs the Kafka client: ${COMMAND}`, { cause });
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MissingDependencyError(
    `embeddedKafka() needs the Kafka client, which is installed and does not load: ${reason}. If it was built for another system or Node: ${COMMAND}`,
    { cause },
  );
}

function isNotInstalled(cause: unknown): boolean {
  const { code, message } = (cause ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  return isMissing && String(message).includes("'@confluentinc/kafka-javascript'");
}
