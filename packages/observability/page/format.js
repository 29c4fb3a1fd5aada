const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** @param {number} value */
export function count(value) {
  return whole.format(value);
}

/** @param {number} value */
export function rate(value) {
  return value < 100 ? tenth.format(value) : whole.format(value);
}

/** @param {number} value */
export function bytes(value) {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${tenth.format(value / 1024)} KiB`;
  return `${tenth.format(value / 1024 / 1024)} MiB`;
}

/** @param {number} ms */
export function duration(ms) {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3_600)} h`;
}

/** @param {string | null | undefined} key */
export function keyText(key) {
  return key === null ? 'null key' : `key '${key}'`;
}

/** @param {number} at milliseconds since the epoch */
export function time(at) {
  return new Date(at).toLocaleTimeString('en-GB');
}
