export { inThreads, type ThreadedHandler, type ThreadOptions } from './in-threads.ts';
export type { ThreadContext, ThreadHandler, ThreadRecord } from './thread-handler.ts';
