import type { Logger } from './logger.ts';
import type { KafkaRecord } from './record.ts';

/** A logger that says with every line which record it is about. A caller's own fields of the same names win. */
export function recordLogger(logger: Logger, record: KafkaRecord<unknown, unknown>, attempt: number): Logger {
  const { topic, partition, offset } = record;
  const about = (fields: object | undefined): object => ({ topic, partition, offset, attempt, ...fields });
  return {
    debug: (message, fields) => logger.debug(message, about(fields)),
    info: (message, fields) => logger.info(message, about(fields)),
    warn: (message, fields) => logger.warn(message, about(fields)),
    error: (message, fields) => logger.error(message, about(fields)),
  };
}
