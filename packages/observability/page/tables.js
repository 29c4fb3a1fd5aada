import { byId, element, setAttribute, setText, showList } from './dom.js';
import { count, duration, keyText, time } from './format.js';

/** @typedef {import('../src/board/board-snapshot.ts').BoardSnapshot} BoardSnapshot */
/** @typedef {BoardSnapshot['partitions'][number]} Partition */
/**
 * @template T
 * @typedef {{ readonly title: string; readonly kind: 'name' | 'number' | 'words'; readonly text: (item: T) => string; readonly level?: (item: T) => string }} Column
 */

const STILL_MS = 10_000;

/** @param {BoardSnapshot} snapshot */
export function showTables(snapshot) {
  const named = snapshot.workers.length > 1 ? new Map(snapshot.workers.map(({ id, name }) => [id, name])) : undefined;
  /** @param {number} worker */
  const suffix = (worker) => (named === undefined ? '' : ` (${named.get(worker)} ${worker})`);
  /** @type {Column<Partition>[]} */
  const partitions = [
    { title: 'partition', kind: 'name', text: (one) => `${one.topic}/${one.partition}${suffix(one.worker)}` },
    { title: 'frontier', kind: 'number', text: ({ nextOffset }) => String(nextOffset) },
    { title: 'committed', kind: 'number', text: ({ committedOffset }) => String(committedOffset ?? '–') },
    { title: 'lag', kind: 'number', text: ({ lag }) => (lag === undefined ? '?' : count(lag)) },
    { title: 'in flight', kind: 'number', text: ({ inFlight }) => count(inFlight) },
    { title: 'what blocks it', kind: 'words', text: blockText, level: blockLevel },
  ];
  showTable('partitions', partitions, snapshot.partitions, (one) => `${one.worker}/${one.topic}/${one.partition}`);
  const noPartitions = snapshot.totals.partitions === 0 ? 'No partition is assigned.' : '';
  setText(
    byId('partitions-more'),
    snapshot.morePartitions > 0 ? `and ${count(snapshot.morePartitions)} more, in less trouble` : noPartitions,
  );
  /** @type {Column<BoardSnapshot['lanes'][number]>[]} */
  const lanes = [
    { title: 'lane', kind: 'name', text: ({ name }) => (name === undefined ? 'of the partition' : keyText(name)) },
    { title: 'waiting', kind: 'number', text: ({ queued }) => count(queued) },
    { title: 'first of', kind: 'words', text: (one) => `${one.topic}/${one.partition}${suffix(one.worker)}` },
  ];
  showTable('lanes', lanes, snapshot.lanes, (one) => `${one.worker}/${one.topic}/${one.partition}/${one.name}`);
  setText(byId('lanes-more'), snapshot.lanes.length === 0 ? 'Nothing waits.' : '');
  showFailures(snapshot);
}

/**
 * @template T
 * @param {string} id
 * @param {readonly Column<T>[]} columns
 * @param {readonly T[]} items
 * @param {(item: T) => string} keyOf
 */
function showTable(id, columns, items, keyOf) {
  const head = byId(`${id}-head`);
  if (head.childElementCount === 0) {
    // On a phone rows are laid out as a grid, and what is no table to the eye would be none to a screen reader.
    const table = /** @type {Element} */ (head.closest('table'));
    table.setAttribute('role', 'table');
    for (const group of table.children) group.setAttribute('role', 'rowgroup');
    head.setAttribute('role', 'row');
    for (const { title, kind } of columns)
      head.append(element('th', { role: 'columnheader', scope: 'col', class: kind }, title));
  }
  const create = () =>
    element(
      'tr',
      { role: 'row' },
      ...columns.map(({ title, kind }) =>
        kind === 'name'
          ? element('th', { role: 'rowheader', scope: 'row' })
          : element('td', { role: 'cell', class: kind, 'data-label': title }),
      ),
    );
  /** @type {HTMLElement} */ (head.closest('table')).hidden = items.length === 0;
  showList(byId(id), items, keyOf, create, (row, item) => {
    for (const [i, { kind, text, level }] of columns.entries()) {
      const cell = /** @type {Element} */ (row.children[i]);
      setText(cell, text(item));
      if (level !== undefined) setAttribute(cell, 'class', `${kind} ${level(item)}`);
    }
  });
}

/** @param {Partition} partition */
function blockText({ topic, partition, frozen, isPaused, blockedBy, stillMs }) {
  const words = [];
  if (frozen > 0) words.push(frozen === 1 ? 'frozen' : `${frozen} keys are frozen`);
  if (isPaused) words.push('paused');
  if (blockedBy !== undefined) {
    const isOwn = blockedBy.topic === topic && blockedBy.partition === partition;
    const place = isOwn ? '' : ` of ${blockedBy.topic}/${blockedBy.partition}`;
    const attempt = blockedBy.attempt > 1 && frozen === 0 ? `, attempt ${blockedBy.attempt}` : '';
    words.push(
      `offset ${blockedBy.offset}${place}, ${keyText(blockedBy.key)}${attempt}, for ${duration(blockedBy.sinceMs)}`,
    );
  } else if (stillMs >= STILL_MS) words.push(`has not moved for ${duration(stillMs)}`);
  return words.join('; ');
}

/** @param {Partition} partition */
function blockLevel({ frozen, stillMs }) {
  if (frozen > 0) return 'bad';
  return stillMs >= STILL_MS ? 'warn' : '';
}

/** @param {BoardSnapshot} snapshot */
function showFailures({ failures, failuresLeftOut }) {
  showList(
    byId('failures'),
    failures,
    ({ id }) => String(id),
    ({ at, worker, what, place, offset, key, attempt, decision, error }) => {
      const of = place === undefined ? worker : `${place} offset ${offset}`;
      const details = [
        ...(key === undefined ? [] : [keyText(key)]),
        ...(attempt === undefined ? [] : [`attempt ${attempt}`]),
        ...(decision === undefined ? [] : [`then ${decision}`]),
      ];
      const about = element('p', { class: 'muted' }, `${time(at)} · ${what} · `, element('b', {}, of));
      about.append(details.map((detail) => ` · ${detail}`).join(''));
      return element('li', {}, about, element('p', { class: 'error' }, error));
    },
    () => {},
  );
  const left = failuresLeftOut > 0 ? `${count(failuresLeftOut)} more came too fast to be shown.` : '';
  setText(byId('failures-more'), failures.length === 0 ? 'None since the board was opened.' : left);
}
