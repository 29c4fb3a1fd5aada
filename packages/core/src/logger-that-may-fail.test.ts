import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { stderrLogger } from './logger.ts';
import { loggerThatMayFail } from './logger-that-may-fail.ts';
import { Stage } from './testing/stage.ts';

/** What goes to stderr instead. */
function onStderr(): [level: string, message: string][] {
  const lines: [string, string][] = [];
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    jest.spyOn(stderrLogger, level).mockImplementation((message) => void lines.push([level, message]));
  return lines;
}

const throwing = (): never => {
  throw new Error('the disk is full');
};

const rejecting: () => unknown = async () => throwing();

describe('a logger that fails', () => {
  afterEach(() => void jest.restoreAllMocks());

  it('throws nowhere, and its lines go to stderr, the first time with the reason', async () => {
    const lines = onStderr();
    const logger = loggerThatMayFail({
      ...{ debug: throwing, info: throwing, warn: throwing },
      error: rejecting,
    });
    logger.warn('first');
    logger.info('second');
    logger.error('third');
    await new Promise((resolve) => void setImmediate(resolve));
    expect(lines).toEqual([
      ['error', 'the logger failed: its lines are on stderr'],
      ['warn', 'first'],
      ['info', 'second'],
      ['error', 'third'],
    ]);
  });

  it('is used as it is while it does not: with its fields, and as a method', () => {
    const lines = onStderr();
    const logger = {
      lines: [] as unknown[],
      ...{ debug() {}, info() {}, warn() {} },
      error(message: string, fields?: object) {
        this.lines.push([message, fields]);
      },
    };
    loggerThatMayFail(logger).error('it happened', { topic: 't' });
    expect([logger.lines, lines]).toEqual([[['it happened', { topic: 't' }]], []]);
  });

  it('keeps no stop from its end, whatever the stop has to say', async () => {
    const lines = onStderr();
    const stage = new Stage([['a']]);
    stage.hold('0@0');
    await stage.start({ logger: { debug: throwing, info: throwing, warn: throwing, error: throwing } });
    await stage.advance(100);
    let summary: unknown;
    void stage.worker.stop({ timeoutMs: 1_000 }).then((ended) => {
      summary = ended;
    });
    await stage.advance(120_000);
    expect(summary).toMatchObject({ state: 'failed', stuck: [{ topic: 't', partition: 0, offset: 0 }] });
    expect(lines.map(([, message]) => message)).toContainEqual(
      expect.stringContaining('handlers ignore their aborted signals'),
    );
  });
});
