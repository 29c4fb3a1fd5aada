import { describe, expect, it } from '@jest/globals';
import { scriptProcess } from './script-process.ts';

describe('processes with live Kafka clients', () => {
  it('end as they say when they are signalled in any moment: none crashes, none hangs', async () => {
    const { code, output } = await scriptProcess(['scripts/exits.ts', '--runs', '12', '--json']).ended;
    const evidence = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as { runs: number; unexpected: number };
    expect({ output, code, ...evidence }).toMatchObject({ code: 0, runs: 12, unexpected: 0 });
  }, 120_000);
});
