import { byId, element, setText, showList } from './dom.js';
import { bytes, count } from './format.js';
import { showFrozen } from './frozen.js';
import { showPlots } from './plots.js';
import { showTables } from './tables.js';

/** @typedef {import('../src/board/board-snapshot.ts').BoardSnapshot} BoardSnapshot */

const AGAIN_MS = 3_000;
const states = { idle: 'warn', starting: 'warn', running: 'good', draining: 'warn', stopped: 'warn', failed: 'bad' };

/** @type {EventSource | undefined} */
let events;

function connect() {
  events?.close();
  const own = new EventSource('events');
  events = own;
  own.addEventListener('snapshot', ({ data }) => {
    showConnection('live', 'good');
    showTrouble('');
    show(JSON.parse(data));
  });
  own.addEventListener('trouble', ({ data }) =>
    showTrouble(`The worker cannot be looked at: ${JSON.parse(data).message}`),
  );
  own.addEventListener('error', () => {
    showConnection('disconnected', 'bad');
    showTrouble('The connection is lost, and what is shown is old: the process may have ended. Trying again …');
    // A refusal ends the browser's own attempts.
    if (own.readyState === EventSource.CLOSED) setTimeout(() => events === own && connect(), AGAIN_MS);
  });
}

/** @param {string} text @param {string} level */
function showConnection(text, level) {
  const badge = byId('connection');
  setText(badge, text);
  badge.className = `badge ${level}`;
}

/** @param {string} text */
function showTrouble(text) {
  const trouble = byId('trouble');
  setText(trouble, text);
  trouble.hidden = text === '';
}

/** @param {BoardSnapshot} snapshot */
function show(snapshot) {
  const { name, state, ready, reasons, moreReasons, rates } = snapshot;
  document.title = `${name}: ${state}`;
  setText(byId('name'), name);
  const badge = byId('state');
  setText(badge, state === 'running' && !ready ? 'running, not ready' : state);
  badge.className = `badge ${state === 'running' && !ready ? 'warn' : states[state]}`;
  const more = moreReasons > 0 ? [`and ${count(moreReasons)} more`] : [];
  const lines = reasons.length === 0 ? ['nothing is wrong'] : [...reasons, ...more];
  showList(
    byId('reasons'),
    lines,
    // What differs in figures only is the same line.
    (line) => line.replace(/\d+ (s|ms|min)\b/g, ''),
    () => element('li'),
    (item, line) => {
      setText(item, line);
      item.className = reasons.length === 0 ? 'fine' : '';
    },
  );
  showTotals(snapshot);
  showFrozen(snapshot);
  showPlots(rates);
  showTables(snapshot);
}

/** @param {BoardSnapshot} snapshot */
function showTotals({ workers, totals }) {
  const { partitions, lag, inFlightRecords, inFlightBytes, lanes, runningCalls } = totals;
  showList(
    byId('totals'),
    /** @type {[string, string][]} */ ([
      ...(workers.length === 1 ? [] : [['workers', count(workers.length)]]),
      ['partitions', count(partitions)],
      ['lag', count(lag)],
      ['in flight', `${count(inFlightRecords)}, ${bytes(inFlightBytes)}`],
      ['lanes', count(lanes)],
      ['calls running', count(runningCalls)],
    ]),
    ([title]) => title,
    ([title]) => element('div', {}, element('dt', {}, title), element('dd')),
    (item, [, value]) => setText(/** @type {Node} */ (item.lastChild), value),
  );
}

// A page in the background takes no room from others.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) connect();
  else events?.close();
});
connect();
