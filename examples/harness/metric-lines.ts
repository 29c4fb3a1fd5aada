/** What tells a run in a few lines, of all that there is. */
const SHOWN = /^kafka_worker_(records_total|handler_failures_total|(handler|batch)_duration_seconds_(sum|count))\{/;

/** Samples of Prometheus' text format that people want to see first. Nothing that has stayed at zero. */
export function metricLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => SHOWN.test(line) && !line.endsWith(' 0'))
    .map((line) => `  ${line.replace(/worker="[^"]*",?/, '').replace('{}', '')}`);
}
