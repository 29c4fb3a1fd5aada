import { describe, expect, it } from '@jest/globals';
import * as observability from './index.ts';

describe('@kafka-worker/observability', () => {
  it('exports the plugins, what they are given, what serves them, and nothing else', () => {
    expect(Object.keys(observability).sort()).toEqual([
      ...['board', 'logging', 'metrics', 'metricsServer', 'pinoLogger', 'tracing', 'watchedExporter', 'winstonLogger'],
    ]);
  });
});
