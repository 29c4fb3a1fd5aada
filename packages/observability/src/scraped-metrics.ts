import { IllegalStateError } from '@kafka-worker/core';
import type { Metric, MetricObjectWithValues, MetricValueWithName, Registry, RegistryContentType } from 'prom-client';
import { EventLoopDelay } from './event-loop-delay.ts';
import { type MetricDefinition, type MetricKey, metricTable } from './metric-table.ts';
import type { Sample } from './worker-measures.ts';

/** Who has something to tell when a registry is scraped. */
export type SampleSource = () => Iterable<Sample>;

type OwnMetric = Metric & { readonly name: string };
type Values = Omit<MetricObjectWithValues<MetricValueWithName<string>>, 'collect'>;

/**
 * The metrics of a registry, which is asked by a scrape and asks the workers then. prom-client's own counters would cost each record some microseconds, and
 * would have to be told of series that are gone; here a worker that has ended is simply not asked any more.
 */
export class ScrapedMetrics {
  readonly #registry: Registry<RegistryContentType>;
  readonly #prefix: string;
  readonly #sources = new Map<string, SampleSource>();
  readonly #delay = new EventLoopDelay();
  /** Those that the registry has, unless somebody has taken them out. */
  readonly #metrics: OwnMetric[] = [];
  #samples: readonly Sample[] | undefined;

  /** @throws IllegalStateError when the registry has metrics of these names that are not ours */
  static of(registry: Registry<RegistryContentType>, prefix: string): ScrapedMetrics {
    const all = registered.get(registry) ?? new Map<string, ScrapedMetrics>();
    registered.set(registry, all);
    const known = all.get(prefix);
    if (known !== undefined) {
      // Somebody may have cleared the registry.
      if (!known.#isRegistered) known.#register();
      return known;
    }
    const metrics = new ScrapedMetrics(registry, prefix);
    metrics.#register();
    all.set(prefix, metrics);
    return metrics;
  }

  private constructor(registry: Registry<RegistryContentType>, prefix: string) {
    this.#registry = registry;
    this.#prefix = prefix;
  }

  /**
   * The returned function ends it: nothing of this worker is there any more.
   * @throws IllegalStateError for a second worker of the same name, whose series would be the same
   */
  add(worker: string, source: SampleSource): () => void {
    if (this.#sources.has(worker))
      throw new IllegalStateError(
        `the registry has the metrics of a worker called ${worker} already: give each worker a name of its own`,
      );
    if (this.#sources.size === 0) this.#delay.enable();
    this.#sources.set(worker, source);
    return () => {
      this.#sources.delete(worker);
      if (this.#sources.size === 0) this.#delay.disable();
    };
  }

  get #isRegistered(): boolean {
    return this.#metrics.every((metric) => this.#registry.getSingleMetric(metric.name) === metric);
  }

  /** All of them, or none. */
  #register(): void {
    this.#unregister();
    try {
      this.#registerAll();
    } catch (error) {
      this.#unregister();
      throw error;
    }
  }

  #unregister(): void {
    for (const metric of this.#metrics.splice(0))
      if (this.#registry.getSingleMetric(metric.name) === metric) this.#registry.removeSingleMetric(metric.name);
  }

  #registerAll(): void {
    const keys = Object.keys(metricTable) as MetricKey[];
    for (const key of keys) {
      const name = this.#prefix + metricTable[key].name;
      if (this.#registry.getSingleMetric(name) !== undefined)
        throw new IllegalStateError(
          `the registry has a metric ${name} already: give metrics() another prefix, or another registry`,
        );
    }
    for (const key of keys) {
      const name = this.#prefix + metricTable[key].name;
      // What a registry asks of a metric: its name, its values, and to forget them, which has no meaning here.
      const own = { name, get: () => Promise.resolve(this.#valuesOf(key, name)), reset: () => {} };
      const metric = own as unknown as OwnMetric;
      this.#registry.registerMetric(metric);
      this.#metrics.push(metric);
    }
  }

  #valuesOf(key: MetricKey, registeredAs: string): Values {
    const { kind, help }: MetricDefinition = metricTable[key];
    // OpenMetrics declares a counter without its ending, which prom-client then adds to the samples.
    const isBare = kind === 'counter' && this.#registry.contentType.startsWith('application/openmetrics-text');
    const name = isBare ? registeredAs.replace(/_total$/, '') : registeredAs;
    const values = this.#now()
      .filter(({ metric }) => metric === key)
      .flatMap((sample) => valuesOf(sample, name));
    return { name, help, type: kind as unknown as Values['type'], aggregator: 'sum', values };
  }

  /** A scrape asks for one metric after the other: they are all of one moment. */
  #now(): readonly Sample[] {
    if (this.#samples === undefined) {
      this.#samples = [...[...this.#sources.values()].flatMap((source) => [...source()]), ...this.#delay.samples()];
      setImmediate(() => {
        this.#samples = undefined;
      });
    }
    return this.#samples;
  }
}

const registered = new WeakMap<Registry<RegistryContentType>, Map<string, ScrapedMetrics>>();

function valuesOf(sample: Sample, name: string): MetricValueWithName<string>[] {
  const { labels } = sample;
  if ('value' in sample) return [{ value: sample.value, labels, metricName: name }];
  const { histogram } = sample;
  return [
    ...Array.from(histogram.cumulative(), ([le, value]) => ({
      value,
      labels: { ...labels, le },
      metricName: `${name}_bucket`,
    })),
    { value: histogram.count, labels: { ...labels, le: '+Inf' }, metricName: `${name}_bucket` },
    { value: histogram.sum, labels, metricName: `${name}_sum` },
    { value: histogram.count, labels, metricName: `${name}_count` },
  ];
}
