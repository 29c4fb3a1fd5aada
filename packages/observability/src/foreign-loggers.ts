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

/** winston as a worker's, or a plugin's, logger. winston puts a field called `message` behind the message, so that one is called `fieldMessage`. */
export function winstonLogger(winston: WinstonLike): Logger {
  const level = (name: keyof Logger) => (message: string, fields?: object) => {
    const { message: fieldMessage, ...rest } = { ...fields } as Readonly<Record<string, unknown>>;
    winston.log(name, message, { ...rest, ...(fieldMessage !== undefined && { fieldMessage }) });
  };
  return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
}

/** pino as a worker's, or a plugin's, logger. */
export function pinoLogger(pino: PinoLike): Logger {
  const level = (name: keyof Logger) => (message: string, fields?: object) => pino[name]({ ...fields }, message);
  return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
}
