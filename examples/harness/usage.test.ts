import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { expect, it } from '@jest/globals';
import { scriptProcess } from '../../scripts/script-process.ts';

it.each([
  ['examples/run.ts 01 --kafka 127.0.0.1:70000', 'a port from 1 to 65535'],
  ['examples/seed.ts --topic t --records 1 --kafka 127.0.0.1:70000', 'a port from 1 to 65535'],
  [`examples/run.ts 01 --trace ${tmpdir()}/no-such-folder/trace.jsonl`, '--trace: expected a file that can be written'],
  ['examples/run.ts 01 --crash', 'example 01 has no --crash'],
  ['examples/run.ts 01 --mode kafka', 'example 01 has no --mode: example 10 has'],
  ['examples/run.ts 10 --crash', 'example 10 has no --crash'],
  ['examples/run.ts 10 --mode kafka', '--mode kafka needs a broker, named by --kafka HOST:PORT: the embedded cluster'],
])('%s is refused, and nothing runs', async (line, message) => {
  const { code, output } = await scriptProcess(line.split(' ')).ended;
  expect({ code, output }).toMatchObject({ code: 2, output: expect.stringContaining(message) });
});

it('--metrics-port with a port that somebody has is refused, and nothing runs', async () => {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const { code, output } = await scriptProcess(['examples/run.ts', '06', '--metrics-port', String(port)]).ended;
  server.close();
  const message = '--metrics-port: expected a port that nobody listens on';
  expect({ code, output }).toEqual({ code: 2, output: expect.stringContaining(message) });
});
