// Logging in and registering: as a page, and as a dialog where a session ends while something else is going on.
import { dialog, field, h, submits } from './elements.js';
import { t } from './texts.js';
import { go } from './navigation.js';
import { hint, logIn, register } from './session.js';

/** Where to go afterwards: a page of this shop, whatever the address says. */
function next() {
  const wanted = new URLSearchParams(location.search).get('next') ?? '/shop/account';
  const url = new URL(wanted, location.origin);
  return url.origin === location.origin && /^\/($|(shop|admin)(\/|$))/.test(url.pathname)
    ? url.pathname + url.search : '/shop/account';
}

/** Asks who one is; `email` is known where it is only to be proved again. */
export function loginForm(done, { email, others = [] } = {}) {
  const code = field(t('login.code'), { name: 'code', autocomplete: 'one-time-code', inputmode: 'text', maxlength: 40 }, t('login.code.explained'));
  code.hidden = true;
  const form = h('form', { class: 'form' },
    field(t('login.email'), { name: 'email', type: 'email', autocomplete: 'username', required: true, maxlength: 254, value: email ?? hint()?.email, readonly: Boolean(email) }),
    field(t('login.password'), { name: 'password', type: 'password', autocomplete: 'current-password', required: true, maxlength: 128, autofocus: Boolean(email) }),
    code,
    h('p', { class: 'actions' }, h('button', { class: 'button', type: 'submit' }, email ? t('login.go_on') : t('login.submit')), ...others));
  return submits(form, async (data) => {
    const credentials = { email: data.get('email'), password: data.get('password') };
    const given = data.get('code').replace(/\s/g, '');
    if (given) credentials[/^\d{6}$/.test(given) ? 'code' : 'recovery_code'] = given;
    try {
      await logIn(credentials);
    } catch (error) {
      if (!['/problems/mfa-required', '/problems/invalid-mfa-code'].includes(error.type)) throw error;
      const first = code.hidden;
      code.hidden = false;
      const input = form.elements.code;
      input.required = true;
      input.select();
      input.focus();
      if (first) return;
      throw error;
    }
    done();
  });
}

function registerForm(done) {
  const form = h('form', { class: 'form' },
    field(t('login.email'), { name: 'email', type: 'email', autocomplete: 'username', required: true, maxlength: 254 }),
    field(t('login.password'), { name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, maxlength: 128 }, t('register.password.explained')),
    field(t('register.name'), { name: 'name', autocomplete: 'name', maxlength: 200 }),
    h('p', { class: 'actions' }, h('button', { class: 'button', type: 'submit' }, t('register.submit'))));
  return submits(form, async (data) => {
    await register({ email: data.get('email'), password: data.get('password'), name: data.get('name').trim() || null });
    done();
  });
}

export function show(main) {
  const registers = main.dataset.view === 'register';
  const other = registers ? 'login' : 'register';
  const done = () => go(next(), { history: 'replace' });
  main.querySelector('[data-content]').replaceChildren(
    h('div', { class: 'narrow' },
      registers ? registerForm(done) : loginForm(done),
      h('p', { class: 'other' }, registers ? t('register.other') : t('login.other'), ' ',
        h('a', { href: `/shop/${other}${location.search}` }, registers ? t('register.other.link') : t('login.other.link')))));
}

/**
 * Asks in place, over what is there: resolves to whether somebody has logged in. `recent` is where somebody is, and only has
 * to prove it again.
 */
export function ask(recent = false) {
  return new Promise((resolve) => {
    let loggedIn = false;
    const close = () => box.close();
    const email = recent ? hint()?.email : undefined;
    const form = loginForm(() => { loggedIn = true; close(); }, {
      email, others: [h('button', { class: 'plain', type: 'button', onclick: close }, t('login.cancel'))],
    });
    const explained = recent ? t('login.recent') : hint() ? t('login.ended') : t('checkout.login');
    const box = dialog(recent ? t('login.recent.title') : t('login.title'),
      h('p', {}, explained),
      form,
      !recent && h('p', { class: 'other' }, t('login.other'), ' ',
        h('a', { href: `/shop/register?${new URLSearchParams({ next: location.pathname })}`, onclick: close }, t('login.other.link'))));
    box.addEventListener('close', () => resolve(loggedIn));
  });
}
