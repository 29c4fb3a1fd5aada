import type { ExampleSummary } from './example-summary.ts';

/** The end of a run, for people. */
export function describeRun(summary: ExampleSummary): string {
  const { example, kafka, topic, group, records, handled, failed, seconds, maxConcurrent, order } = summary;
  const kept = [...(order.partition ? ['partition'] : []), ...(order.key ? ['key'] : [])];
  const figures = Object.entries(summary.result ?? {}).flatMap(([name, value]) =>
    typeof value === 'number' ? [`${name}: ${value}`] : [],
  );
  const offsets = Object.entries(summary.committed).map(([partition, offset]) => `  ${partition}  ${offset}`);
  return [
    `example ${example} on ${kafka} Kafka, topic ${topic}, group ${group}`,
    `${records} records: ${handled} handled, ${failed} failed, in ${seconds} s, at most ${maxConcurrent} at once`,
    ...(summary.callsLeftOut === undefined
      ? []
      : [`these are of the last handler calls; ${summary.callsLeftOut} before them are left out`]),
    `order kept: ${kept.length === 0 ? 'no' : `within each ${kept.join(' and each ')}`}`,
    ...(figures.length === 0 ? [] : [figures.join(', ')]),
    `committed offsets, read back from Kafka:${offsets.length === 0 ? ' none' : ''}`,
    ...offsets,
  ].join('\n');
}
