import winston from 'winston';

/** A line of a log as people read it: time, level, message, then the fields by name. An error is its message, without the stack. */
export const linesForPeople: winston.Logform.Format = winston.format.combine(
  winston.format.timestamp(),
  winston.format.printf(({ timestamp, level, message, worker: _worker, ...fields }) =>
    [
      String(timestamp).slice('2026-01-01T'.length, -'Z'.length),
      level.padEnd('error'.length),
      `${String(message)} `,
      ...Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`),
    ].join(' '),
  ),
);

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'stack' in value && 'message' in value)
    return JSON.stringify(value.message);
  if (typeof value === 'number') return String(Math.round(value * 10) / 10);
  if (Array.isArray(value)) return value.map(shown).join(',');
  return typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value);
}
