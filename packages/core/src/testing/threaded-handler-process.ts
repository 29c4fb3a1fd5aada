// A handler for tests of inThreads(): does what its record says.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { NonRetriableError, RetriableError } from '../handler-errors.ts';
import type { ThreadContext, ThreadRecord } from '../threads/index.ts';

const now = (): number => performance.timeOrigin + performance.now();

function spin(ms: number): void {
  const endsAt = now() + ms;
  while (now() < endsAt);
}

function throwIt(thrown: unknown): never {
  throw thrown;
}

const deeds: Readonly<Record<string, (record: ThreadRecord, context: ThreadContext, more: string) => unknown>> = {
  spin(record, { log, attempt }, ms) {
    const start = now();
    spin(Number(ms));
    log.info('spun', { key: String(record.key), offset: record.offset, attempt, threadId, start, end: now() });
  },
  tell({ headers, key, value, timestamp, topic, partition, offset }, { log }) {
    const isBuffer = [key, value, ...headers.map(([, each]) => each)].map((each) => Buffer.isBuffer(each));
    log.warn('got', { headers, key, timestamp, topic, partition, offset, isBuffer, pinned: value?.buffer.byteLength });
  },
  fail: () =>
    throwIt(Object.assign(new TypeError('no such order', { cause: new Error('because') }), { code: 'E_ORDER' })),
  text: () => throwIt('just text'),
  function: () => throwIt(() => {}),
  final: () => throwIt(new NonRetriableError('never', { cause: 'a reason' })),
  later: () => throwIt(new RetriableError('not yet', { retryAfterMs: 7 })),
  exit: () => process.exit(7),
  uncaught: async () => {
    setTimeout(() => throwIt(new Error('nobody catches this')), 10);
    await sleep(10_000);
  },
  send: (_record, { send }, topic) =>
    send({ topic, key: 'k', value: `from thread ${threadId > 0}`, headers: new Map([['h', 'x']]) }),
  'send and fail': (_record, { send }, topic) => {
    send({ topic, value: 'sent all the same' });
    throw new Error('after it was sent');
  },
  wait: (_record, { signal, log }) => {
    log.info('waiting');
    return sleep(60_000, undefined, { signal });
  },
  listen: async (_record, { signal, log }) => {
    log.info('waiting');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    throw signal.reason;
  },
  'loop until aborted': async (_record, { signal, log }) => {
    log.info('waiting');
    await sleep(20);
    while (!signal.aborted);
    signal.throwIfAborted();
  },
  'loop for ever': async (_record, { log }) => {
    log.info('waiting');
    await sleep(20);
    for (;;);
  },
  'log what cannot be cloned': (_record, { log }) => log.error('fields', { f: () => {} }),
  beat: (_record, _context, path) => void setInterval(() => appendFileSync(path, '.'), 10),
};

export default function handle(record: ThreadRecord, context: ThreadContext): unknown {
  const [deed = '', more = ''] = String(record.value).split(': ');
  return deeds[deed]?.(record, context, more);
}
