import { expect, it } from '@jest/globals';
import { SpanStatusCode } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { ExampleSpans } from './example-spans.ts';

it('keeps the last spans in memory, and counts all of them', () => {
  const spans = new ExampleSpans(undefined, 100);
  const tracer = new BasicTracerProvider({ spanProcessors: [spans.processor] }).getTracer('t');
  for (let i = 0; i < 1_000; i++) {
    const span = tracer.startSpan(`span ${i}`);
    if (i % 10 === 0) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }
  expect(spans.counts).toEqual({ spans: 1_000, spansWithError: 100 });
  expect(spans.inMemory.length).toBeLessThan(200);
  expect(spans.inMemory.at(-1)?.name).toBe('span 999');
});
