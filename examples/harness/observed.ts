import type { HttpService, Plugin, Worker } from '@kafka-worker/core';
import { metricsServer } from '@kafka-worker/observability';
import type { Registry } from 'prom-client';
import type winston from 'winston';
import { UsageError } from '../../scripts/command-line.ts';
import type { ExampleArguments } from './example-arguments.ts';
import type { ExampleSpans } from './example-spans.ts';
import { metricLines } from './metric-lines.ts';
import type { ExampleSetup, OpenedExample } from './run-example.ts';
import { traceTree } from './trace-tree.ts';
import { unregisterSdk } from './unregister-sdk.ts';

/** Where an example's spans, figures and lines go. */
interface Telemetry {
  readonly spans: ExampleSpans;
  readonly registry: Registry;
  readonly logger: winston.Logger;
}

/** An example that is looked at through its telemetry. */
export interface ObservedExample extends OpenedExample, Telemetry {
  /** As Prometheus gets it; from the end of the worker on, the last of it, for a worker's series go away with it. */
  scrape(): Promise<string>;
  /** Where Prometheus finds it, if a port was given. */
  readonly metricsUrl: string | undefined;
}

/** The worker of an example, with what there is to show of it at the end. */
export async function observed(
  telemetry: Telemetry,
  given: ExampleArguments,
  setup: ExampleSetup,
  createWorker: (setup: ExampleSetup) => Worker,
): Promise<ObservedExample> {
  const { spans, registry, logger } = telemetry;
  let last: string | undefined;
  // Plugins stop in the opposite order: this one while the worker's metrics are still there.
  const lastScrape: Plugin = {
    name: 'last-scrape',
    stop: async () => {
      last = await registry.metrics();
    },
  };
  const scrape = async (): Promise<string> => last ?? registry.metrics();
  const worker = createWorker({ ...setup, plugins: [...setup.plugins, lastScrape] });
  const server = given.metricsPort === undefined ? undefined : await served(registry, given.metricsPort);
  const metricsUrl = server && `${server.url}/metrics`;
  if (metricsUrl !== undefined) logger.info('metrics are served', { url: metricsUrl });
  const close = async (): Promise<void> => {
    unregisterSdk();
    await server?.[Symbol.asyncDispose]();
    await spans.end();
    logger.close();
  };
  return {
    ...{ ...telemetry, worker, scrape, metricsUrl, close },
    result: async () => {
      const report = await spans.end();
      const text = await scrape();
      const kept = spans.inMemory;
      return {
        figures: {
          ...(report === undefined && spans.counts),
        },
        shown: [...traceTree(kept), 'metrics, as Prometheus gets them (some of them):', ...metricLines(text)],
        ...(report !== undefined && { spans: report }),
      };
    },
  };
}

/**
 * On every interface: who scrapes may be a container, to which this machine is another one.
 * @throws UsageError when nobody can listen there
 */
async function served(registry: Registry, port: number): Promise<HttpService> {
  try {
    return await metricsServer(registry, { port });
  } catch (error) {
    unregisterSdk();
    throw new UsageError(`--metrics-port: ${(error as Error).message.replace(/^port: /, '')}.`);
  }
}
