import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { AlwaysOnSampler, BasicTracerProvider, ParentBasedSampler } from '@opentelemetry/sdk-trace-base';

export const propagator: W3CTraceContextPropagator = new W3CTraceContextPropagator();

/** The real SDK, which records what its producer sampled. Nothing is exported: that costs whoever exports, and the same with and without a worker. */
export function newTracerProvider(): BasicTracerProvider {
  return new BasicTracerProvider({ sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }) });
}

/** Runs something while contexts follow awaits, as in a program with tracing. */
export async function withContexts<T>(run: () => Promise<T>): Promise<T> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  try {
    return await run();
  } finally {
    context.disable();
  }
}
