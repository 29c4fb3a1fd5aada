import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { freezePartition, perKey } from '@kafka-worker/strategies';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { type Board, board } from './board.ts';
import { type Contrast, contrastScript } from './testing/contrast.ts';

const program = process.env.CHROMIUM;
const TOKEN = 'a-token-of-this-test';
const MARKUP = '<img src=x onerror="document.title=`hacked`">';
const LONG_KEY = `customer-${'0123456789'.repeat(20)}`;
const inChromium = program === undefined ? describe.skip : describe;

inChromium('the page of a board, in a real browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    // As root, as in many containers, Chromium refuses to run with its sandbox; what it loads here is our own page.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: program ?? '', args, timeout: 60_000 });
  }, 90_000);
  afterAll(() => browser?.close());

  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  /** A worker whose partition 0 is frozen at the offset 1, partition 1 at the offset 0, until `bad.isGone`. */
  async function stage() {
    const kafka = fakeKafka({ topics: { orders: { partitions: 3 } } });
    const keys = ['a', MARKUP, LONG_KEY];
    kafka.send(keys.map((key) => ({ topic: 'orders', partition: 0, key, value: key === MARKUP ? 'bad' : 'fine' })));
    kafka.send([{ topic: 'orders', partition: 1, key: LONG_KEY, value: 'bad' }]);
    const bad = { isGone: false };
    const worker = new Worker({
      ...{ kafka, clock: kafka.clock, groupId: 'g', name: 'billing', topics: 'orders' },
      ...{ logger: { debug() {}, info() {}, warn() {}, error() {} } },
      ...{ concurrency: perKey(), onFailure: freezePartition() },
      handler: ({ value }) => {
        if (String(value) === 'bad' && !bad.isGone) throw new Error(`it failed: ${MARKUP}`);
      },
    });
    const made = await board(worker, { port: 0, allowActions: { token: TOKEN } });
    const starting = worker.start();
    await kafka.clock.advance(2_000);
    await starting;
    const stop = async (): Promise<void> => {
      const stopping = worker.stop({ timeoutMs: 1_000 });
      await kafka.clock.advance(10_000);
      await stopping;
    };
    ends.push(stop, async () => made[Symbol.asyncDispose]());
    return { kafka, worker, bad, board: made, stop };
  }

  /** A page that has heard of the worker, and everything that it complains of. */
  async function open({ url }: Board, options: BrowserContextOptions = {}, hash = '') {
    const context = await browser.newContext(options);
    ends.push(() => context.close());
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('response', (response) => {
      if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
    });
    await page.addInitScript(
      "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective, e.blockedURI))",
    );
    await page.goto(`${url}/${hash}`);
    await page.getByText('live', { exact: true }).waitFor();
    return { page, complaints };
  }

  const row = (page: Page, name: string) =>
    page.getByRole('row').filter({ has: page.getByRole('rowheader', { name, exact: true }) });

  it('shows partitions and what blocks them, changes by itself, and shows markup as text', async () => {
    const { kafka, board, stop } = await stage();
    const { page, complaints } = await open(board);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('billing');
    const cells = (name: string) => row(page, name).getByRole('cell').allTextContents();
    const [frontier, committed, lag, inFlight, blocked] = await cells('orders/0');
    expect([frontier, committed, lag, inFlight]).toEqual(['1', '1', '2', '2']);
    expect(blocked).toContain(`frozen; offset 1, key '${MARKUP}'`);
    expect((await cells('orders/2')).slice(0, 3)).toEqual(['0', '0', '0']);
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.getByText(`Error: it failed: ${MARKUP}`).count()).toBe(2);
    expect(await page.getByRole('img', { name: /^records handled per second: now/ }).count()).toBe(1);

    kafka.send(['x', 'y', 'z'].map((key) => ({ topic: 'orders', partition: 2, key, value: 'fine' })));
    await kafka.clock.advance(2_000);
    await row(page, 'orders/2').getByRole('cell', { name: '3', exact: true }).first().waitFor();
    await page.getByRole('img', { name: /^records handled per second: .*at most (?!0$)/ }).waitFor();
    await stop();
    await page.getByText('stopped', { exact: true }).first().waitFor();
    expect(await page.getByRole('button', { name: 'Retry' }).count()).toBe(0);
    await board[Symbol.asyncDispose]();
    await page.getByRole('alert').filter({ hasText: 'The connection is lost' }).waitFor();
    expect(complaints.filter((line) => !/ERR_CONNECTION_REFUSED|ERR_EMPTY|ERR_INCOMPLETE/.test(line))).toEqual([]);
    expect(await page.title()).toBe('billing: stopped');
  });

  it('lets a mouse retry, with the token of its address, and skip only after a question', async () => {
    const { kafka, worker, bad, board } = await stage();
    const { page, complaints } = await open(board, {}, `#token=${TOKEN}`);
    expect(page.url()).toBe(`${board.url}/`);
    await page.getByRole('button', { name: 'Skip orders/1 offset 0' }).click();
    await page.getByRole('button', { name: 'Keep it' }).click();
    expect(worker.status().partitions[1]?.frozen).toHaveLength(1);
    await page.getByRole('button', { name: 'Skip orders/1 offset 0' }).click();
    await page.getByRole('button', { name: 'Skip it' }).click();
    await page.getByRole('status').filter({ hasText: 'orders/1: offset 0 was passed over' }).waitFor();
    bad.isGone = true;
    await page.getByRole('button', { name: 'Retry orders/0 offset 1' }).click();
    await page.getByRole('status').filter({ hasText: 'orders/0: offset 1 is tried again' }).waitFor();
    await kafka.clock.advance(2_000);
    expect(worker.status().partitions.map(({ nextOffset }) => nextOffset)).toEqual([3, 1, 0]);
    await page.getByRole('button', { name: 'Retry' }).first().waitFor({ state: 'detached' });
    expect(complaints).toEqual([]);
  });

  it('lets a keyboard do the same, asks for the token, again after a wrong one, and does not lose its place', async () => {
    const { kafka, worker, bad, board } = await stage();
    const { page } = await open(board);
    bad.isGone = true;
    const tabTo = async (name: string): Promise<void> => {
      const button = page.getByRole('button', { name });
      for (let i = 0; i < 30; i++) {
        if (await button.and(page.locator(':focus')).count()) return;
        await page.keyboard.press('Tab');
      }
      throw new Error(`no way to ${name}`);
    };
    await tabTo('Retry orders/0 offset 1');
    // It is drawn anew every second, and stays.
    await page.waitForTimeout(1_200);
    await page.keyboard.press('Enter');
    await page.getByRole('textbox', { name: 'Token' }).waitFor();
    await page.keyboard.type('not-it');
    await page.keyboard.press('Enter');
    await page.getByText('the token is wrong').waitFor();
    await tabTo('Retry orders/0 offset 1');
    await page.keyboard.press('Space');
    await page.getByRole('textbox', { name: 'Token' }).waitFor();
    await page.keyboard.type(TOKEN);
    await page.keyboard.press('Enter');
    await page.getByRole('status').filter({ hasText: 'is tried again' }).waitFor();
    await kafka.clock.advance(2_000);
    expect(worker.status().partitions[0]?.nextOffset).toBe(3);
    await page.getByRole('button', { name: 'Retry orders/0 offset 1' }).waitFor({ state: 'detached' });
    expect(await page.evaluate('document.activeElement.id')).toBe('frozen-title');
  });

  it('asks again after a token that no header can carry', async () => {
    const { board } = await stage();
    const { page, complaints } = await open(board);
    for (const token of ['tökén-ünd-mehr', TOKEN]) {
      await page.getByRole('button', { name: 'Retry orders/0 offset 1' }).click();
      await page.getByRole('textbox', { name: 'Token' }).fill(token);
      await page.getByRole('button', { name: 'Go on' }).click();
      const said = token === TOKEN ? 'is tried again' : 'the token is wrong';
      await page.getByRole('status').filter({ hasText: said }).waitFor();
    }
    expect(complaints).toEqual([]);
  });

  it('has one row for each lane, also of keys that are cut off to the same text, and as many after a while', async () => {
    const kafka = fakeKafka({ topics: { orders: { partitions: 1 } } });
    for (const end of ['1', '2', '3'])
      kafka.send(Array.from({ length: 5 }, () => ({ topic: 'orders', partition: 0, key: LONG_KEY + end, value: 'x' })));
    const worker = new Worker({
      ...{ kafka, clock: kafka.clock, groupId: 'g', topics: 'orders', concurrency: perKey() },
      ...{ logger: { debug() {}, info() {}, warn() {}, error() {} } },
      handler: async (_record, { signal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve());
        }),
    });
    const made = await board(worker, { port: 0 });
    const starting = worker.start();
    await kafka.clock.advance(2_000);
    await starting;
    const stop = async (): Promise<void> => {
      const stopping = worker.stop({ timeoutMs: 1_000 });
      await kafka.clock.advance(10_000);
      await stopping;
    };
    ends.push(stop, async () => made[Symbol.asyncDispose]());
    const { page } = await open(made);
    for (let look = 0; look < 2; look++) {
      expect(await page.locator('#lanes > tr').count()).toBe(3);
      await page.waitForTimeout(2_500);
    }
  });

  it('says by the clock of the worker how long something stands still, be that of the browser an hour ahead', async () => {
    const { kafka, board } = await stage();
    await kafka.clock.advance(40_000);
    const { page } = await open(board);
    await page.evaluate('{ const now = Date.now; Date.now = () => now() + 3_600_000; }');
    await page.waitForTimeout(1_200);
    expect(await page.locator('#frozen .about').first().textContent()).toMatch(/for 4\d s$/);
  });

  it('fits a phone, and is readable there, in the light and in the dark', async () => {
    const { board } = await stage();
    const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints } = await open(board, { ...phone, colorScheme });
      await row(page, 'orders/0').waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
      const colors = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      expect(colors).toBe(colorScheme === 'dark' ? 'rgb(15, 20, 25)' : 'rgb(245, 247, 249)');
      const { looked, poor } = await page.evaluate<Contrast>(contrastScript);
      expect(looked).toBeGreaterThan(40);
      expect(poor).toEqual([]);
      const buttons = await page.getByRole('button').all();
      for (const button of buttons) expect((await button.boundingBox())?.height).toBeGreaterThanOrEqual(44);
      await page.getByRole('button', { name: 'Skip orders/0 offset 1' }).tap();
      expect((await page.evaluate<Contrast>(contrastScript)).poor).toEqual([]);
      expect(complaints).toEqual([]);
    }
  });
});
