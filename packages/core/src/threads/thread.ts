// What runs in each thread of inThreads(): loads the user's file once, and calls it.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { IllegalStateError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { fromCrossing, toCrossing } from './crossing-errors.ts';
import { asReceived, type ThreadContext, type ThreadHandler } from './thread-handler.ts';
import type { FromThread, ThreadOutcome, ThreadTask, ToThread } from './thread-messages.ts';

refuseNativeClient();

/** One task, as the pool hands it over. What goes wrong is told, not thrown: the pool would strip it of all but its message. */
export default async function runTask({ url, call }: ThreadTask): Promise<ThreadOutcome> {
  try {
    if (call === undefined) return { type: typeof (await load(url)) };
    const { port, record, attempt } = call;
    say(port, { is: 'started' });
    const handler = (await load(url)) as ThreadHandler<unknown, unknown>;
    try {
      await handler(asReceived(record), contextOf(port, attempt));
    } finally {
      port.close();
    }
    return {};
  } catch (thrown) {
    return { error: toCrossing(thrown) };
  }
}

/** The default export, also of a CommonJS file that was compiled from an ES module. */
async function load(url: string): Promise<unknown> {
  const { default: exported } = (await importOrRequire(url)) as { readonly default?: unknown };
  const isNested = typeof exported === 'object' && exported !== null && 'default' in exported;
  return isNested ? exported.default : exported;
}

/**
 * In threads of Node 20 an `--import` of `execArgv` does nothing for `import`, while what it does for `require` holds.
 * @see https://github.com/nodejs/node/issues/47747
 */
async function importOrRequire(url: string): Promise<unknown> {
  try {
    return await import(url);
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error;
    return createRequire(import.meta.url)(fileURLToPath(url)) as unknown;
  }
}

function contextOf(port: MessagePort, attempt: number): ThreadContext {
  const level = (name: keyof Logger) => (message: string, fields?: object) =>
    say(port, { is: 'log', level: name, message, fields });
  return {
    signal: signalOf(port),
    attempt,
    log: { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') },
    send: (message) => {
      const { headers } = message;
      const isIterable = headers !== undefined && Symbol.iterator in headers;
      say(port, { is: 'send', message: isIterable ? { ...message, headers: [...headers] } : message });
    },
  };
}

/** Told by a message; who never gives way to messages sees it nevertheless, by asking. */
function signalOf(port: MessagePort): AbortSignal {
  const controller = new AbortController();
  const { signal } = controller;
  const hear = ({ abort }: ToThread): void => controller.abort(fromCrossing(abort));
  port.on('message', hear);
  const isAborted = (): boolean => {
    if (!hasAborted(controller)) {
      const heard: { readonly message: ToThread } | undefined = receiveMessageOnPort(port);
      if (heard !== undefined) hear(heard.message);
    }
    return hasAborted(controller);
  };
  Object.defineProperties(signal, {
    aborted: { get: isAborted },
    throwIfAborted: {
      value: () => {
        if (isAborted()) throw signal.reason;
      },
    },
  });
  return signal;
}

/** What a signal says by itself. */
function hasAborted({ signal }: AbortController): boolean {
  return Reflect.get(AbortSignal.prototype, 'aborted', signal);
}

function say(port: MessagePort, message: FromThread): void {
  try {
    port.postMessage(message);
  } catch (error) {
    if (message.is !== 'log') throw error;
    // Fields that cannot be cloned: a log line must harm nothing.
    port.postMessage({ ...message, fields: { fields: inspect(message.fields) } });
  }
}

/** Native code that was made for one thread would crash in a second one, or be there twice. */
function refuseNativeClient(): void {
  const dlopen = process.dlopen.bind(process);
  process.dlopen = (module: object, filename: string, ...rest: number[]): void => {
    if (/confluent-kafka-javascript/.test(filename))
      throw new IllegalStateError(
        'the Kafka client runs on the main thread only: a handler file of inThreads() must load neither it nor what loads it. ' +
          'Messages go out with context.send',
      );
    Reflect.apply(dlopen, undefined, [module, filename, ...rest]);
  };
}
