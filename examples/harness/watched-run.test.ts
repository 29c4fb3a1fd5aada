import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { scriptProcess } from '../../scripts/script-process.ts';

it('--board tells the address of a page, keeps orders coming, and ends when it is interrupted', async () => {
  const { child, ended } = scriptProcess(['examples/run.ts', '11', '--board', '--fail', '0:3']);
  try {
    let output = '';
    child.stdout?.on('data', (chunk: string) => {
      output += chunk;
    });
    const board = (): RegExpExecArray | null =>
      /board {2}(http:\/\/127\.0\.0\.1:\d+)\/#token=([\da-f]{32})/.exec(output);
    while (board() === null && child.exitCode === null) await sleep(50);
    const [, url = '', token = ''] = board() ?? [];
    const snapshot = async (): Promise<{
      frozen: { worker: number }[];
      totals: { lag: number };
      partitions: { nextOffset: number }[];
    }> => {
      const response = await fetch(`${url}/events`);
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        const data = /^data: (.*)$/m.exec(Buffer.from(chunk).toString())?.[1];
        if (data !== undefined) return JSON.parse(data) as Awaited<ReturnType<typeof snapshot>>;
      }
      throw new Error('nothing came');
    };
    let now = await snapshot();
    // More than it began with: what was sent since has come.
    const handled = (): number => now.partitions.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
    while (now.frozen.length === 0 || handled() < 400) {
      await sleep(200);
      now = await snapshot();
    }
    const body = JSON.stringify({ worker: 1, topic: topicIn(output), partition: 0, offset: 3, skip: true });
    const headers = { authorization: `Bearer ${token}` };
    const skipped = await fetch(`${url}/unfreeze`, { method: 'POST', headers, body });
    expect(await skipped.json()).toEqual({ done: expect.stringContaining('offset 3 was passed over') });
  } finally {
    child.kill('SIGINT');
  }
  const { code, output } = await ended;
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('handled') });
}, 60_000);

function topicIn(output: string): string | undefined {
  return /topic (example-[\w-]+):/.exec(output)?.[1];
}
