import { byId, element, setAttribute, setText } from './dom.js';
import { rate } from './format.js';

const WIDTH = 300;
const HEIGHT = 60;
const SVG = 'http://www.w3.org/2000/svg';

/** The series, as the snapshot names them. @type {readonly (readonly ['handled' | 'failed' | 'retried', string])[]} */
const series = [
  ['handled', 'records handled'],
  ['failed', 'handler calls failed'],
  ['retried', 'of them to be tried again'],
];

/** @type {Map<string, { now: Element; svg: Element; line: Element; area: Element; top: Element }>} */
const plots = new Map();

/** @param {import('../src/board/board-snapshot.ts').BoardSnapshot['rates']} rates */
export function showPlots(rates) {
  for (const [name, title] of series) {
    const plot = plots.get(name) ?? addPlot(name, title);
    const values = rates[name];
    const last = values.at(-1) ?? 0;
    const most = Math.max(...values, 0);
    const top = niceTop(most);
    const path = pathOf(values, top);
    setText(plot.now, rate(last));
    setText(plot.top, `up to ${rate(top)}`);
    setAttribute(plot.line, 'd', path);
    setAttribute(plot.area, 'd', path === '' ? '' : `${path}V${HEIGHT}H${xOf(0, values.length)}Z`);
    setAttribute(plot.svg, 'aria-label', `${title} per second: now ${rate(last)}, at most ${rate(most)}`);
  }
}

/** @param {string} name @param {string} title */
function addPlot(name, title) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [attribute, value] of [
    ['class', 'plot'],
    ['role', 'img'],
    ['viewBox', `0 0 ${WIDTH} ${HEIGHT}`],
    ['preserveAspectRatio', 'none'],
  ])
    svg.setAttribute(/** @type {string} */ (attribute), /** @type {string} */ (value));
  const area = document.createElementNS(SVG, 'path');
  area.setAttribute('class', 'area');
  const line = document.createElementNS(SVG, 'path');
  svg.append(area, line);
  const now = element('strong');
  const top = element('span');
  const scale = element('div', { class: 'scale', 'aria-hidden': 'true' }, '5 min ago', top, 'now');
  byId('plots').append(
    element('figure', { class: name }, element('figcaption', {}, element('span', {}, title), now), svg, scale),
  );
  const plot = { now, svg, line, area, top };
  plots.set(name, plot);
  return plot;
}

/** The newest is at the right edge, however few there are. @param {number} i @param {number} length */
function xOf(i, length) {
  return WIDTH - (length - 1 - i);
}

/** @param {readonly number[]} values @param {number} top */
function pathOf(values, top) {
  return values
    .map(
      (value, i) =>
        `${i === 0 ? 'M' : 'L'}${xOf(i, values.length)} ${(HEIGHT - (value / top) * (HEIGHT - 3)).toFixed(1)}`,
    )
    .join('');
}

/** 1, 2 or 5 times a power of ten. @param {number} most */
function niceTop(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= most) ?? 10 * power;
}
