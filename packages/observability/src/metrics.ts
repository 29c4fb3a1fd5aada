import { InvalidOptionError, type KafkaRecord, type Plugin } from '@kafka-worker/core';
import type { Registry, RegistryContentType } from 'prom-client';
import { PluginHealth } from './plugin-health.ts';
import { type SampleSource, ScrapedMetrics } from './scraped-metrics.ts';
import { WorkerMeasures } from './worker-measures.ts';

const DEFAULT_PREFIX = 'kafka_worker_';

/** Start with `registry`. */
export interface MetricsOptions {
  /** Where the metrics are found: serve its `metrics()`, or see `metricsServer`. Several workers may share one. */
  readonly registry: Registry<RegistryContentType>;
  /** Before every name. @defaultValue `'kafka_worker_'` */
  readonly prefix?: string;
}

/**
 * Prometheus metrics of a worker: what it reads, handles and commits, how far behind each partition is, and where its time goes. Counting costs a
 * fraction of a microsecond a record; everything else is done when somebody scrapes. The labels of a metric are bounded: workers, topics, partitions.
 *
 * A worker's series are there from its start to its end. One plugin is for one worker, whose name tells its series apart from those of others.
 * @throws InvalidOptionError for options that are none
 */
export function metrics(options: MetricsOptions): Plugin {
  checkOptions(options);
  const { registry, prefix = DEFAULT_PREFIX } = options;
  const measures = new WorkerMeasures();
  const health = new PluginHealth('metrics');
  let end: (() => void) | undefined;
  return {
    name: 'metrics',
    listeners: measures.listeners,
    async start(worker, host) {
      health.started(host);
      const source: SampleSource = () => health.guard(() => [...measures.samples(worker)]) ?? [];
      end = health.guard(() => ScrapedMetrics.of(registry, prefix).add(worker.name, source));
    },
    async stop() {
      end?.();
    },
    async aroundBatch(records: readonly KafkaRecord<unknown, unknown>[], _context, next) {
      const startedAt = performance.now();
      try {
        await next();
      } finally {
        measures.batch(records.length, performance.now() - startedAt);
      }
    },
  };
}

function checkOptions(options: MetricsOptions): void {
  const known = ['registry', 'prefix'];
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('options', `an object with ${known.join(', ')}`, options);
  for (const [option, value] of Object.entries(options))
    if (!known.includes(option))
      throw new InvalidOptionError(option, `no option of that name (there is ${known.join(', ')})`, value);
  const { registry, prefix } = options;
  if (typeof registry?.registerMetric !== 'function' || typeof registry.getSingleMetric !== 'function')
    throw new InvalidOptionError('registry', 'a Registry of prom-client', registry);
  if (prefix !== undefined && !/^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(prefix))
    throw new InvalidOptionError(
      'prefix',
      'text that a metric name may begin with (a-z A-Z 0-9 _ :, no digit first)',
      prefix,
    );
}
