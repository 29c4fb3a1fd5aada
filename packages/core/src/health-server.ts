import { answerPaths, jsonAnswer } from './answer-paths.ts';
import { check, has } from './option-checks.ts';
import { type Runnable, statusesOf } from './runnable.ts';
import { type HttpService, type ServeHttpOptions, serveHttp } from './serve-http.ts';

/** Where the probes of a worker are served: on every address of the machine, unless it has a `host`, as probes from outside need it. */
export type HealthServerOptions = ServeHttpOptions;

/** Serves until it is disposed of. */
export type HealthServer = HttpService;

/**
 * Serves a worker's, or a group's, health over HTTP, for probes: `/live` and `/ready` answer 200 or 503 with `{ live | ready, reasons }`, `/status`
 * with everything that `status()` and `health()` say. Whoever reaches the port reads topics, offsets, keys of records that hold something up, and
 * messages of errors. It keeps no process alive, and ends with none: dispose of it when the worker has ended, so that probes see how it ends.
 *
 * @throws {@link InvalidOptionError} as a rejection: for options that are none, and for a port or a host that cannot be listened on
 */
export async function healthServer(target: Runnable, options: HealthServerOptions): Promise<HealthServer> {
  check('target', target, 'a worker or a group, made with new', has('name', 'state', 'health', 'status'));
  return serveHttp(
    options,
    answerPaths({
      '/live': () => {
        const { live, reasons } = target.health();
        return jsonAnswer(live ? 200 : 503, { live, reasons });
      },
      '/ready': () => {
        const { ready, reasons } = target.health();
        return jsonAnswer(ready ? 200 : 503, { ready, reasons });
      },
      '/status': () => {
        const { name, state } = target;
        return jsonAnswer(200, { name, state, health: target.health(), workers: statusesOf(target) });
      },
    }),
  );
}
