/** npm and some shells pass a signal on that the process has got already: one that follows this soon is the same. */
const SAME_SIGNAL_MS = 500;

/** Aborted at SIGINT or SIGTERM. A second signal ends the process, by SIGKILL: `process.exit` can crash with live native clients. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  let signalledAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signalledAt !== undefined && performance.now() - signalledAt < SAME_SIGNAL_MS) return;
    if (signalledAt !== undefined) {
      process.kill(process.pid, 'SIGKILL');
      return;
    }
    signalledAt = performance.now();
    process.stderr.write(`\n${signal}: what is being written is awaited; once more to end at once\n`);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return controller.signal;
}
