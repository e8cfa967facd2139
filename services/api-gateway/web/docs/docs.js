// What the documentation does beside being read: logging in, sending, copying. The tokens stay in memory.
import { createShop } from '/docs/client/shop.mjs';

const shop = createShop({ onSession: showAccount });
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Where this is read is where the examples ask.
for (const origin of all('[data-origin]')) origin.textContent = location.origin;

// The language that was chosen stays.
for (const radio of all('input[name="language"]')) {
  if (radio.value === sessionStorage.getItem('language')) radio.checked = true;
  radio.addEventListener('change', () => sessionStorage.setItem('language', radio.value));
}

if (matchMedia('(max-width: 62rem)').matches) document.querySelector('.index > details').open = false;

for (const code of all('pre > code')) {
  const button = element('button', { type: 'button', className: 'copy', textContent: 'Copy' });
  button.addEventListener('click', async () => {
    const done = await navigator.clipboard.writeText(code.textContent).then(() => 'Copied', () => select(code));
    button.textContent = done;
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
  code.parentElement.before(button);
}

/** Without HTTPS a browser has no clipboard: the text is marked, to be copied by hand. */
function select(code) {
  getSelection().selectAllChildren(code);
  return 'Marked';
}

// Who is logged in.
const account = document.querySelector('#account');
account.hidden = false;
showAccount();

function showAccount(session) {
  if (!session) return account.replaceChildren(loginForm());
  const copy = element('button', { type: 'button', textContent: 'Copy variables' });
  copy.title = 'SHOP_URL and SHOP_TOKEN, for a terminal. Whoever has the token is you for some minutes.';
  copy.addEventListener('click', async () => {
    const text = `export SHOP_URL=${location.origin} SHOP_TOKEN=${shop.session.token}\n`;
    copy.textContent = await navigator.clipboard.writeText(text).then(() => 'Copied', () => 'No clipboard here');
  });
  const out = element('button', { type: 'button', textContent: 'Log out' });
  out.addEventListener('click', () => shop.logout().catch(() => showAccount()));
  account.replaceChildren(element('span', { className: 'who', textContent: who }), copy, out);
}

let who;
function loginForm() {
  const field = (label, properties) => element('label', {}, label, element('input', properties));
  const told = element('p', { role: 'alert' });
  const form = element('form', { className: 'login' },
    field('Email', { name: 'email', type: 'email', autocomplete: 'username', required: true }),
    field('Password', { name: 'password', type: 'password', autocomplete: 'current-password', required: true }),
    field('Code, if you have a second factor', { name: 'code', inputMode: 'numeric', autocomplete: 'one-time-code' }),
    element('p', {}, element('button', { value: 'login', textContent: 'Log in' }), ' ', element('button', { value: 'register', textContent: 'Register' })),
    told);
  form.addEventListener('submit', async (submission) => {
    submission.preventDefault();
    const { email, password, code } = Object.fromEntries(new FormData(form));
    who = email;
    try {
      if (submission.submitter?.value === 'register') await shop.register({ body: { email, password } });
      else await shop.login({ body: { email, password, ...(code && { code }) } });
    } catch (error) {
      told.textContent = error.message;
    }
  });
  return element('details', {}, element('summary', { textContent: 'Log in' }), form);
}

// Sending.
for (const form of all('form.try')) {
  form.hidden = false;
  form.addEventListener('submit', (submission) => {
    submission.preventDefault();
    send(form).catch((error) => outcome(form, error.message));
  });
}

async function send(form) {
  const { method, path } = form.dataset;
  const inputs = all('input', form).filter((input) => input.value !== '');
  const at = (place) => inputs.filter((input) => input.dataset.place === place).map((input) => [input.name, input.value]);
  const filled = at('path').reduce((target, [name, value]) => target.replace(`{${name}}`, encodeURIComponent(value)), path);
  const query = new URLSearchParams(at('query')).toString();
  const body = form.querySelector('textarea')?.value;
  const stop = new AbortController();
  const button = form.querySelector('.stop');
  button.onclick = () => stop.abort();
  button.hidden = false;
  try {
    const started = performance.now();
    const response = await shop.fetch(method, query ? `${filled}?${query}` : filled, {
      headers: Object.fromEntries(at('header')), body, signal: stop.signal, endless: path.endsWith('/events'),
    });
    const taken = Math.round(performance.now() - started);
    await show(form, response, `${response.status} ${response.statusText} in ${taken} ms`);
  } finally {
    button.hidden = true;
  }
}

/** As it comes: what is a stream has no end for a while. */
async function show(form, response, line) {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
  const text = element('code');
  outcome(form, element('p', {}, element('b', { textContent: line })),
    element('details', {}, element('summary', { textContent: 'Headers' }), element('pre', {}, element('code', { textContent: headers }))),
    element('pre', { tabIndex: 0 }, text)); // A long one is scrolled, by keyboard too.
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader.read()) text.append(part.value);
  if (!isJson || text.textContent === '') return;
  const answer = JSON.parse(text.textContent);
  text.textContent = JSON.stringify(answer, null, 2);
  if (answer.type?.startsWith('/problems/')) text.parentElement.before(element('p', {}, element('a', { href: answer.type, textContent: answer.title })));
  if (response.ok) fillIn(form.dataset.makes, answer.items?.[0]?.id ?? answer.id);
}

/** The id that an answer has stands for its kind from now on. */
function fillIn(variable, id) {
  if (!variable || !id) return;
  for (const input of all(`input[data-variable="${variable}"]`)) input.value = id;
  for (const body of all('textarea')) body.value = body.value.replaceAll(`$${variable}`, id);
}

function outcome(form, ...children) {
  form.querySelector('.outcome').replaceChildren(...children);
}
