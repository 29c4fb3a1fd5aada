import { context, propagation, trace } from '@opentelemetry/api';

/** Takes back what the start of an SDK has registered for the whole process, which a program of yours need not do: here another run may follow. */
export function unregisterSdk(): void {
  trace.disable();
  context.disable();
  propagation.disable();
}
