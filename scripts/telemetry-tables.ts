import { logTable } from '../packages/observability/src/log-table.ts';
import { DURATION_BUCKETS, metricLabels, metricTable } from '../packages/observability/src/metric-table.ts';
import { spanAttributes, spanConventions, spanEvents, spans } from '../packages/observability/src/span-table.ts';

type Cells = readonly string[];

const PREFIX = 'kafka_worker_';

/** What the documentation says of metrics, spans and log lines, made from the tables that the plugins themselves go by. */
export const telemetryTables: Readonly<Record<string, () => string>> = {
  metrics: () =>
    table(
      ['metric', 'kind', 'unit', 'labels', 'what it is'],
      Object.values(metricTable).map(({ name, kind, unit, labels, help }) => [
        code(PREFIX + name),
        kind,
        unit === 'none' ? '' : unit,
        listed(labels),
        help,
      ]),
    ),
  labels: () =>
    table(
      ['label', 'what it is'],
      Object.entries(metricLabels).map(([name, what]) => [code(name), what]),
    ),
  buckets: () => DURATION_BUCKETS.join(', '),
  spans: () =>
    table(
      ['span', 'name', 'kind', 'what it is', 'attributes', 'events'],
      Object.entries(spans).map(([which, { name, kind, what, attributes, events }]) => [
        which,
        code(name),
        kind,
        what,
        listed(attributes.map((key) => spanAttributes[key].name)),
        listed(events.map((key) => spanEvents[key].name)),
      ]),
    ),
  attributes: () => namesAndMeanings('attribute', spanAttributes),
  events: () => namesAndMeanings('event', spanEvents),
  conventions: () => `[${spanConventions.name}](${spanConventions.url}), version ${spanConventions.version}.`,
  lines: () =>
    table(
      ['message', 'level', 'fields'],
      Object.values(logTable).map(({ level, message, fields }) => [message, level, listed(fields)]),
    ),
};

function namesAndMeanings(head: string, all: Readonly<Record<string, { name: string; what: string }>>): string {
  return table(
    [head, 'what it is'],
    Object.values(all).map(({ name, what }) => [code(name), what]),
  );
}

function table(head: Cells, rows: readonly Cells[]): string {
  const line = (cells: Cells): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function listed(names: readonly string[]): string {
  return names.map(code).join(', ');
}

function code(text: string): string {
  return `\`${text}\``;
}
