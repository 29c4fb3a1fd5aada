import {
  answerPaths,
  type HttpService,
  InvalidOptionError,
  type ServeHttpOptions,
  serveHttp,
} from '@kafka-worker/core';
import type { Registry, RegistryContentType } from 'prom-client';

/** Less than the ten seconds that Prometheus waits for an answer. */
const SCRAPE_MS = 9_000;

/**
 * Serves a registry's metrics at `/metrics`, for Prometheus. A registry in which something throws is answered with 500 and the reason, and so is one that
 * has not answered for 9 seconds. It keeps no process alive, and ends with none: dispose of it when the last worker has ended.
 *
 * Who serves HTTP already needs none: answer with `await registry.metrics()`, as `registry.contentType`.
 *
 * @throws InvalidOptionError as a rejection: for options that are none, and for a port or a host that cannot be listened on
 */
export async function metricsServer(
  registry: Registry<RegistryContentType>,
  options: ServeHttpOptions,
): Promise<HttpService> {
  if (typeof registry?.metrics !== 'function' || typeof registry.contentType !== 'string')
    throw new InvalidOptionError('registry', 'a Registry of prom-client', registry);
  const scraped = async () => ({
    status: 200,
    contentType: registry.contentType,
    body: await inTime(registry.metrics()),
  });
  return serveHttp(options, answerPaths({ '/metrics': scraped }));
}

/** A metric of somebody else's may never answer. */
async function inTime(text: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the registry did not answer within ${SCRAPE_MS} ms`)), SCRAPE_MS);
    timer.unref();
  });
  try {
    return await Promise.race([text, late]);
  } finally {
    clearTimeout(timer);
  }
}
