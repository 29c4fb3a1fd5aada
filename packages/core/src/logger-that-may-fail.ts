import { toError } from './kafka-worker-error.ts';
import { type Logger, stderrLogger } from './logger.ts';

/**
 * A logger of the user's, whatever it does: one that throws, or rejects, must not keep a stop from its end or a record from its handler. What it does not take
 * goes to stderr instead, as the default logger has it; the first time with the reason.
 */
export function loggerThatMayFail(logger: Logger): Logger {
  let hasFailed = false;
  const failed = (level: keyof Logger, message: string, fields: object | undefined, thrown: unknown): void => {
    if (!hasFailed) stderrLogger.error('the logger failed: its lines are on stderr', { error: toError(thrown) });
    hasFailed = true;
    stderrLogger[level](message, fields);
  };
  const guarded =
    (level: keyof Logger) =>
    (message: string, fields?: object): void => {
      try {
        // A function that returns nothing may be an async one.
        const returned: unknown = logger[level](message, fields);
        if (returned instanceof Promise) returned.catch((thrown: unknown) => failed(level, message, fields, thrown));
      } catch (thrown) {
        failed(level, message, fields, thrown);
      }
    };
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') };
}
