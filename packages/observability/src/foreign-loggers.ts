import type { Logger } from '@kafka-worker/core';

/** What is needed of a logger of winston. */
export interface WinstonLike {
  log(level: string, message: string, meta: object): unknown;
}

/** What is needed of a logger of pino. */
export interface PinoLike {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** winston as a worker's, or a plugin's, logger. A field that has the name of a part of winston's own line, such as `message`, is called `fieldMessage`. */
export function winstonLogger(winston: WinstonLike): Logger {
  return adapted((name, message, fields) => winston.log(name, message, fields), ['level', 'message']);
}

/** pino as a worker's, or a plugin's, logger. A field that has the name of a part of pino's own line, such as `msg`, is called `fieldMsg`. */
export function pinoLogger(pino: PinoLike): Logger {
  return adapted((name, message, fields) => pino[name](fields, message), ['level', 'time', 'msg']);
}

/** @param taken names that say something else on a line: a field of that name would be lost, or take its place */
function adapted(
  write: (name: keyof Logger, message: string, fields: object) => unknown,
  taken: readonly string[],
): Logger {
  const nameOf = (field: string): string =>
    taken.includes(field) ? `field${field.charAt(0).toUpperCase()}${field.slice(1)}` : field;
  const level = (name: keyof Logger) => (message: string, fields?: object) =>
    void write(
      name,
      message,
      Object.fromEntries(Object.entries(fields ?? {}).map(([field, value]) => [nameOf(field), value as unknown])),
    );
  return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
}
