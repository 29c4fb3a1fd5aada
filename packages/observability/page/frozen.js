import { ask, hasToken } from './actions.js';
import { byId, element, setText, showList } from './dom.js';
import { count, duration, keyText } from './format.js';

/** @typedef {import('../src/board/board-snapshot.ts').BoardSnapshot} BoardSnapshot */
/** @typedef {BoardSnapshot['frozen'][number]} Frozen */

/** @param {BoardSnapshot} snapshot */
export function showFrozen({ frozen, moreFrozen, hasActions }) {
  const section = byId('frozen-section');
  const list = byId('frozen');
  const hadFocus = list.contains(document.activeElement);
  section.hidden = frozen.length === 0 && !hadFocus && document.activeElement !== byId('frozen-title');
  const off = 'Read only: board() was given no allowActions. worker.unfreeze() lets one go on.';
  setText(byId('frozen-hint'), frozen.length === 0 ? 'Nothing is frozen any more.' : hasActions ? '' : off);
  setText(byId('frozen-more'), moreFrozen > 0 ? `and ${count(moreFrozen)} more` : '');
  showList(list, frozen, keyOf, (one) => card(one, hasActions), update);
  // Whoever pressed the button of a card that is gone is not sent back to the top of the page.
  if (hadFocus && !list.contains(document.activeElement)) byId('frozen-title').focus();
}

/** @param {Frozen} one */
function keyOf({ worker, topic, partition, offset }) {
  return `${worker}/${topic}/${partition}/${offset}`;
}

/** @param {Frozen} one @param {boolean} hasActions */
function card(one, hasActions) {
  const { topic, partition, offset, error } = one;
  const place = `${topic}/${partition} offset ${offset}`;
  const about = element('p', {}, element('b', {}, place), element('span', { class: 'about' }));
  const made = element('li', {}, about, element('p', { class: 'error' }, error));
  if (!hasActions) return made;
  const retry = element('button', { type: 'button', 'aria-label': `Retry ${place}` }, 'Retry');
  const skip = element('button', { type: 'button', class: 'danger', 'aria-label': `Skip ${place}` }, 'Skip…');
  const buttons = [retry, skip];
  retry.addEventListener('click', () => void unfreeze(one, false, buttons));
  skip.addEventListener('click', () => void confirmSkip(one, buttons));
  made.append(element('p', { class: 'buttons' }, ...buttons));
  return made;
}

/** @param {HTMLElement} node @param {Frozen} one */
function update(node, { scope, key, forMs }) {
  const about = node.querySelector('.about');
  const what =
    scope === 'key' ? `the lane of ${keyText(key)} stands still` : `the partition stands still, ${keyText(key)}`;
  if (about !== null) setText(about, ` · ${what} · for ${duration(forMs)}`);
}

/** @param {Frozen} one @param {readonly HTMLElement[]} buttons */
async function confirmSkip(one, buttons) {
  const dialog = /** @type {HTMLDialogElement} */ (byId('ask-skip'));
  const { topic, partition, offset, key } = one;
  setText(
    byId('ask-skip-text'),
    `${topic}/${partition} offset ${offset} (${keyText(key)}) then counts as finished and is committed. It is not handled again.`,
  );
  dialog.returnValue = 'keep';
  const closed = new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  dialog.showModal();
  await closed;
  if (dialog.returnValue === 'skip') await unfreeze(one, true, buttons);
}

/** @param {Frozen} one @param {boolean} skip @param {readonly HTMLElement[]} buttons */
async function unfreeze({ worker, topic, partition, offset }, skip, buttons) {
  if (!(await hasToken())) return;
  // Not disabled, which would take the focus away.
  if (buttons.some((button) => button.getAttribute('aria-disabled') === 'true')) return;
  for (const button of buttons) button.setAttribute('aria-disabled', 'true');
  const { isDone, text } = await ask({ worker, topic, partition, offset, skip });
  for (const button of buttons) button.removeAttribute('aria-disabled');
  const result = byId('result');
  setText(result, text);
  result.className = isDone ? 'notice good' : 'notice bad';
}
