import { byId, setText } from './dom.js';

/** Kept here and nowhere else: a reload asks again. */
let token = takeFromAddress();

/** Behind the #, a browser sends it to nobody; out of the address, nobody reads it over a shoulder or in a history. */
function takeFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  if (given !== '') history.replaceState(null, '', location.pathname + location.search);
  return given;
}

/** Whether there is a token, asked for if there was none. @param {string} [why] */
export async function hasToken(why) {
  if (token !== '') return true;
  const dialog = /** @type {HTMLDialogElement} */ (byId('ask-token'));
  const input = /** @type {HTMLInputElement} */ (byId('token'));
  setText(byId('token-why'), why ?? 'Actions need the token that the process was given.');
  input.value = '';
  dialog.returnValue = '';
  const closed = new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  byId('token-cancel').onclick = () => dialog.close('');
  byId('token-form').onsubmit = (event) => {
    event.preventDefault();
    token = input.value.trim();
    dialog.close();
  };
  dialog.showModal();
  await closed;
  input.value = '';
  return token !== '';
}

/**
 * Has a button's work done.
 *
 * @param {{ readonly worker: number; readonly topic: string; readonly partition: number; readonly offset: number; readonly skip: boolean }} what
 * @returns {Promise<{ readonly isDone: boolean; readonly text: string }>}
 */
export async function ask(what) {
  // No header can carry anything else: it would be refused before it is sent, again and again.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    token = '';
    return { isDone: false, text: 'the token is wrong' };
  }
  try {
    const response = await fetch('unfreeze', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(what),
    });
    const { done, error } = await response.json();
    if (response.ok) return { isDone: true, text: done };
    if (response.status === 401) token = '';
    return { isDone: false, text: error };
  } catch (error) {
    return { isDone: false, text: `the process does not answer: ${error instanceof Error ? error.message : error}` };
  }
}
