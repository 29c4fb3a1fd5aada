import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP has it, in JSON. */
export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly status: number | undefined;
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly { readonly key: string; readonly value: { stringValue?: string } }[];
    };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<ReceivedSpan, 'service' | 'status'> & {
        readonly status: { readonly code?: number };
      })[];
    }[];
  }[];
}

/** The least of a collector: takes OTLP over HTTP at `/v1/traces`, and keeps what it was sent. */
export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly #server: Server;

  /** @param answer what it says instead of 200, or nothing at all */
  static async open(answer: number | 'nothing' = 200): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver(answer);
    await new Promise<void>((resolve) => {
      receiver.#server.listen(0, '127.0.0.1', resolve);
    });
    return receiver;
  }

  private constructor(answer: number | 'nothing') {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => void chunks.push(chunk));
      request.on('end', () => {
        if (answer === 'nothing') return;
        const isTraces = request.method === 'POST' && request.url === '/v1/traces';
        if (answer === 200 && isTraces) this.#keep(JSON.parse(Buffer.concat(chunks).toString()) as ExportRequest);
        response.writeHead(isTraces ? answer : 404, { 'content-type': 'application/json' }).end('{}');
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #keep({ resourceSpans }: ExportRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        const { name, traceId, spanId, parentSpanId, status } = span;
        this.spans.push({ service, name, traceId, spanId, parentSpanId, status: status.code });
      }
    }
  }
}
