import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { type MetricDefinition, metricTable } from '../packages/observability/src/metric-table.ts';
import { root } from './child.ts';
import { metricsOf, type Selected } from './promql.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: Source;
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat?: string;
    readonly datasource: Source;
  }[];
}

interface Source {
  readonly type: string;
  readonly uid: string;
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly datasource: Source;
      readonly query: { readonly query: string };
    }[];
  };
}

const folder = join(root, 'deploy', 'compose', 'grafana');
const files = readdirSync(join(folder, 'dashboards'));
const { panels, templating } = JSON.parse(
  readFileSync(join(folder, 'dashboards', files[0] ?? ''), 'utf8'),
) as Dashboard;
const { datasources } = parse(readFileSync(join(folder, 'datasources.yml'), 'utf8')) as {
  readonly datasources: readonly (Source & { readonly url: string })[];
};
const { services } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8')) as {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly volumes?: readonly string[];
        readonly ports: readonly string[];
        readonly environment: Readonly<Record<string, string>>;
      }
    >
  >;
};

const PREFIX = 'kafka_worker_';
const definitions = new Map<string, MetricDefinition>(
  Object.values(metricTable).map((metric) => [metric.name, metric]),
);
/** What Prometheus adds to every series. */
const added = ['instance', 'job'];
const targets = panels.flatMap((panel) => (panel.targets ?? []).map((target) => ({ ...target, panel })));
const queries = targets.map(({ expr, panel }) => ({ title: panel.title, query: withValues(expr) }));
const selected = queries.flatMap(({ title, query }) => metricsOf(query).map((one) => ({ title, ...one })));

/** As Grafana sends it. */
function withValues(query: string): string {
  return query.replaceAll('$__rate_interval', '8s').replaceAll('$worker', '.*');
}

/** The metric of the table, and whether its series is a part of a histogram. */
function definitionOf(name: string): {
  readonly metric: MetricDefinition | undefined;
  readonly part: string | undefined;
} {
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : '';
  const [, histogram = '', part] = /^(.*)_(bucket|sum|count)$/.exec(bare) ?? [];
  return definitions.has(bare)
    ? { metric: definitions.get(bare), part: undefined }
    : { metric: definitions.get(histogram), part };
}

/** What is wrong with what a query asks for, by the table. */
function faultOf({ metric: name, labels, functions }: Selected): string | undefined {
  const { metric, part } = definitionOf(name);
  if (metric === undefined) return `there is no metric ${name}`;
  if ((metric.kind === 'histogram') !== (part !== undefined)) return `${name} is a ${metric.kind}`;
  const known: readonly string[] = [...metric.labels, ...added, ...(part === 'bucket' ? ['le'] : [])];
  const unknown = labels.find((label) => !known.includes(label));
  if (unknown !== undefined) return `${name} has no label ${unknown}`;
  const isRate = functions.some((one) => one === 'rate' || one === 'increase');
  if (isRate !== (metric.kind !== 'gauge')) return `${name} is a ${metric.kind}, with or without a rate`;
  if (functions.includes('histogram_quantile') !== (part === 'bucket' && labels.includes('le')))
    return `${name}: no quantile of that`;
  return undefined;
}

describe('the dashboard', () => {
  it('asks for metrics that there are, by labels that they have, and for rates of what counts', () => {
    expect(selected.length).toBeGreaterThan(30);
    expect(selected.flatMap((one) => faultOf(one) ?? [])).toEqual([]);
  });

  it.each([
    ['kafka_worker_lag{}', 'there is no metric kafka_worker_lag'],
    ['lag', 'there is no metric lag'],
    ['kafka_worker_partition_lag{group="g"}', 'kafka_worker_partition_lag has no label group'],
    ['sum by (topic) (kafka_worker_live)', 'kafka_worker_live has no label topic'],
    ['kafka_worker_records_total', 'kafka_worker_records_total is a counter, with or without a rate'],
    ['rate(kafka_worker_partition_lag[1m])', 'kafka_worker_partition_lag is a gauge, with or without a rate'],
    ['rate(kafka_worker_commit_duration_seconds[1m])', 'kafka_worker_commit_duration_seconds is a histogram'],
    [
      'histogram_quantile(0.9, sum by (worker) (rate(kafka_worker_commit_duration_seconds_bucket[1m])))',
      'kafka_worker_commit_duration_seconds_bucket: no quantile of that',
    ],
  ])('would be refused with %s', (query, fault) => {
    expect(metricsOf(query).map(faultOf)).toEqual([fault]);
  });

  it('would be refused with what is no PromQL', () => {
    expect(() => metricsOf('sum(rate(x[1m])')).toThrow('no PromQL');
    expect(() => metricsOf('rate(x[soon])')).toThrow('no PromQL');
  });

  it('leaves no metric out', () => {
    const shown = new Set(selected.map(({ metric }) => definitionOf(metric).metric?.name));
    expect([...definitions.keys()].filter((name) => !shown.has(name))).toEqual([]);
  });

  it('says of each partition what blocks it: lag, how long it has stood still, frozen, paused', () => {
    const table = panels.find(({ type }) => type === 'table');
    const columns = (table?.targets ?? []).flatMap(({ expr }) => metricsOf(withValues(expr)));
    expect(columns.map(({ metric }) => metric.slice(PREFIX.length))).toEqual([
      ...['partition_lag', 'partition_still_seconds', 'partition_frozen', 'partition_paused'],
      ...['partition_frontier_offset', 'partition_committed_offset'],
    ]);
    for (const { labels } of columns) expect(labels).toEqual(expect.arrayContaining(['worker', 'topic', 'partition']));
  });

  it('names series by labels that they have', () => {
    for (const { legendFormat = '', expr, panel } of targets) {
      const [one] = metricsOf(withValues(expr));
      const isGrouped = /^(sum|min|max)\b/.test(expr) || expr.startsWith('histogram_quantile');
      const has = isGrouped
        ? (one?.labels ?? [])
        : [...(definitionOf(one?.metric ?? '').metric?.labels ?? []), ...added];
      const named = Array.from(legendFormat.matchAll(/{{(\w+)}}/g), ([, label]) => label);
      expect([panel.title, has]).toEqual([panel.title, expect.arrayContaining(named)]);
    }
  });

  it('has panels that do not lie on each other, each with an id of its own', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  });
});

describe('Grafana', () => {
  it('has the data sources that the dashboard asks, at services that there are', () => {
    const asked = [...panels, ...targets, ...templating.list].flatMap(({ datasource }) => datasource ?? []);
    for (const { type, uid } of asked) expect(datasources).toContainEqual(expect.objectContaining({ type, uid }));
    for (const { url, uid } of datasources) {
      const { hostname, port } = new URL(url);
      expect([uid, services[hostname]?.ports]).toEqual([uid, expect.arrayContaining([`127.0.0.1:${port}:${port}`])]);
    }
  });

  it('chooses workers by a label that there is', () => {
    expect(templating.list.map(({ name, query }) => [name, query.query])).toEqual([
      ['worker', 'label_values(kafka_worker_live, worker)'],
    ]);
    expect(metricTable.live.labels).toContain('worker');
  });

  it('finds the dashboard where it is mounted, and begins with it', () => {
    const { providers } = parse(readFileSync(join(folder, 'dashboards.yml'), 'utf8')) as {
      readonly providers: readonly { readonly options: { readonly path: string } }[];
    };
    const path = providers[0]?.options.path;
    expect(services.grafana?.volumes).toContain(`./deploy/compose/grafana/dashboards:${path}:ro`);
    expect(services.grafana?.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH).toBe(`${path}/${files[0]}`);
    expect(files).toEqual(['kafka-ts-worker.json']);
  });
});
