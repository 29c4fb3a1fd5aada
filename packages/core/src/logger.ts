/**
 * What the library logs to: constant messages, everything variable in `fields`. winston, pino and console wrappers fit as they are.
 */
export interface Logger {
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
}

/** Fields as one line of JSON; errors become their name and message, and nothing that a field holds can make logging throw. */
function formatFields(fields: object | undefined): string {
  if (fields === undefined) return '';
  try {
    const replacer = (_key: string, value: unknown): unknown =>
      value instanceof Error
        ? {
            name: value.name,
            message: value.message,
            ...(value.cause instanceof Error ? { cause: value.cause.message } : {}),
          }
        : typeof value === 'bigint'
          ? String(value)
          : value;
    return ` ${JSON.stringify(fields, replacer)}`;
  } catch {
    return ' (fields could not be written)';
  }
}

/** The default logger: warnings and errors, a line each, on stderr. */
export const stderrLogger: Logger = {
  debug() {},
  info() {},
  warn: (message, fields) =>
    void process.stderr.write(`${new Date().toISOString()} warn ${message}${formatFields(fields)}\n`),
  error: (message, fields) =>
    void process.stderr.write(`${new Date().toISOString()} error ${message}${formatFields(fields)}\n`),
};
