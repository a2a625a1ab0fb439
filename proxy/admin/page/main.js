// The live page: follows /events and does what its buttons say.
import { plural } from './format.js';
import { show, showHistory } from './panels.js';
import { setText } from './table.js';
import { watch } from './stream.js';

const kTokenName = 'corral-admin-token';
const of = (id) => document.getElementById(id);

// Of this tab, and gone with it.
const token = {
  get: () => sessionStorage.getItem(kTokenName),
  set: (text) => sessionStorage.setItem(kTokenName, text),
  clear: () => sessionStorage.removeItem(kTokenName),
};

function headers() {
  return token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
}

function setLive(state, text) {
  of('live').dataset.state = state;
  setText(of('live'), text);
  document.querySelector('main').classList.toggle('stale', state !== 'good');
}

// Shows the form until somebody has given a token.
function askForToken() {
  const form = of('token');
  if (token.get()) setText(of('token-note'), 'That is not the token.');
  token.clear();
  setLive('waiting', 'a token is wanted');
  form.hidden = false;
  of('figures').hidden = true;
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      token.set(of('token-text').value);
      of('token-text').value = '';
      form.hidden = true;
      of('figures').hidden = false;
      resolve();
    };
  });
}

// The header is one that other sites' pages cannot set (proxy/admin/access.h).
async function act(button, path, body, tell) {
  const note = of('action-note');
  button.disabled = true;
  try {
    const response = await fetch(path, { method: 'POST', headers: { ...headers(), 'X-Corral-Action': '1' }, body });
    const isJson = (response.headers.get('Content-Type') ?? '').startsWith('application/json');
    const answer = isJson ? await response.json() : { error: (await response.text()).trim() };
    note.classList.toggle('bad', !response.ok);
    setText(note, response.ok ? tell(answer) : answer.error);
  } catch (error) {
    note.classList.add('bad');
    setText(note, error.message);
  } finally {
    button.disabled = false;
  }
}

of('purge').onsubmit = (event) => {
  event.preventDefault();
  act(event.submitter ?? of('purge').querySelector('button'), '/purge', of('purge-glob').value, (answer) =>
    `${plural(answer.purged, 'key')} purged`);
};
of('reload').onclick = () => act(of('reload'), '/reload', '', () => 'the settings have been loaded again');

watch({
  headers,
  unauthorized: askForToken,
  onLost: (why) => setLive('bad', `not connected: ${why}`),
  onEvent: (name, data) => {
    if (name === 'history') return showHistory(data);
    show(data);
    setLive('good', 'live');
  },
});
