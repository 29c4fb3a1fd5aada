// node --import tsx scripts/board-screenshot.ts: runs example 11 with --board for a minute, and writes docs/board.png, which the README shows.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { root } from './child.ts';
import { readCommandLine, reportFailure } from './command-line.ts';
import { findRealBrowser } from './real-browser.ts';
import { scriptProcess } from './script-process.ts';

const WATCH_MS = 60_000;
const ADDRESS_MS = 60_000;
const MAX_BYTES = 200_000;
const names = ['--topic', 'orders', '--group', 'billing'];
const failing = ['--fail', '0:150', '--fail', '3:420'];
const file = join(root, 'docs/board.png');

try {
  readCommandLine({ usage: 'node --import tsx scripts/board-screenshot.ts', options: {} }, process.argv.slice(2));
  await takeScreenshot();
} catch (error) {
  reportFailure(error);
}

async function takeScreenshot(): Promise<void> {
  const tier = await findRealBrowser({ say: console.log });
  if (!('env' in tier)) throw new Error('skipped' in tier ? tier.skipped : tier.failed);
  const { child, ended } = scriptProcess(['examples/run.ts', '11', '--board', ...names, ...failing]);
  try {
    const address = await addressIn(child.stdout);
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    const browser = await chromium.launch({ executablePath: tier.env.CHROMIUM ?? '', args });
    try {
      const page = await browser.newPage({ viewport: { width: 1_000, height: 1_180 } });
      await page.goto(address);
      await sleep(WATCH_MS);
      await page.screenshot({ path: file });
    } finally {
      await browser.close();
    }
  } finally {
    child.kill('SIGINT');
    await ended;
  }
  const { size } = statSync(file);
  if (size > MAX_BYTES) throw new Error(`docs/board.png has ${size} bytes: at most ${MAX_BYTES}`);
  console.log(`written: docs/board.png, ${size} bytes`);
}

function addressIn(output: NodeJS.ReadableStream | null): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`no address came:\n${text}`)), ADDRESS_MS);
    output?.on('data', (chunk: string) => {
      text += chunk;
      const address = /board {2}(\S+)/.exec(text)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}
