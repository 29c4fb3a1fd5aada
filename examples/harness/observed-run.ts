import { Writable } from 'node:stream';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import winston from 'winston';
import type { ObservedExample } from './observed.ts';
import type { CreateWorker } from './run-example.ts';

type Open = (...given: Parameters<CreateWorker>) => Promise<ObservedExample>;

/** A line of the log as a machine reads it. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly message: string };

/** What a test sees of an example: its spans, figures and lines, and nothing of the worker itself. */
export class ObservedRun {
  readonly lines: LogLine[] = [];
  #example: ObservedExample | undefined;
  readonly open: CreateWorker;

  constructor(open: Open) {
    this.open = async (...given) => {
      this.#example = await open(...given);
      this.#example.logger.clear().add(this.#transport());
      return this.#example;
    };
  }

  /** Those that have ended, by their names without the topic: `send`, `process`, and those of the handler. */
  spans(name: string): readonly ReadableSpan[] {
    return this.#opened.spans.inMemory.filter((span) => span.name.split(' ')[0] === name);
  }

  /** Samples by name and labels, the worker's name left out. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    return samplesOf(await this.#opened.scrape());
  }

  get metricsUrl(): string {
    return this.#opened.metricsUrl ?? '';
  }

  linesOf(message: string): readonly LogLine[] {
    return this.lines.filter((line) => line.message === message);
  }

  get #opened(): ObservedExample {
    if (this.#example === undefined) throw new Error('the example has not been opened');
    return this.#example;
  }

  #transport(): winston.transport {
    const stream = new Writable({
      write: (line: Buffer, _encoding, done) => {
        this.lines.push(JSON.parse(line.toString()) as LogLine);
        done();
      },
    });
    return new winston.transports.Stream({ stream, level: 'debug', format: winston.format.json() });
  }
}

/** Samples of Prometheus' text format by name and labels, the worker's name left out. */
export function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space).replace(/worker="[^"]*",?/, ''), Number(line.slice(space + 1))] as const;
    }),
  );
}

/** Which record a span is of. */
export function placeOf({ attributes }: ReadableSpan): string {
  return `${String(attributes['messaging.destination.partition.id'])}:${String(attributes['kafka.offset'])}`;
}

/** By which others find it. */
export function idOf(span: ReadableSpan): string {
  const { traceId, spanId } = span.spanContext();
  return `${traceId}/${spanId}`;
}

/** As `idOf` has it. */
export function parentOf({ parentSpanContext }: ReadableSpan): string | undefined {
  return parentSpanContext && `${parentSpanContext.traceId}/${parentSpanContext.spanId}`;
}
