// The account: profile, password, and where one is logged in.
import { advice } from './advice.js';
import { failure, field, h, notice, say, skeleton, submits } from './elements.js';
import { time } from './format.js';
import { t } from './texts.js';
import { go } from './navigation.js';
import { secondFactor } from './second-factor.js';
import { device, forget, logIn, logOut, resume, shop } from './session.js';

export async function show(main, { signal }) {
  const content = main.querySelector('[data-content]');
  content.replaceChildren(skeleton());
  try {
    if (!(await resume())) {
      const next = new URLSearchParams({ next: '/shop/account' });
      return content.replaceChildren(notice(t('account.login'), undefined,
        h('a', { class: 'button', href: `/shop/login?${next}` }, t('login.title')),
        h('a', { class: 'plain', href: `/shop/register?${next}` }, t('register.title'))));
    }
    const user = await shop.getUsersMe({ signal });
    if (signal.aborted) return;
    const sessions = h('div', {});
    content.replaceChildren(
      h('div', { class: 'account' },
        section('account.profile', profile(user)),
        section('account.password', password(user, () => list(sessions, signal))),
        section('account.factor', secondFactor(signal, () => list(sessions, signal))),
        section('account.sessions', h('p', { class: 'small' }, t('account.sessions.explained')), sessions)),
      h('p', { class: 'actions' }, user.role === 'admin' && h('a', { class: 'button', href: '/admin' }, t('account.admin')), h('button', {
        type: 'button', class: 'plain',
        onclick: async () => {
          try {
            await logOut();
            say(t('account.logged_out'));
            go('/');
          } catch (error) {
            say(advice(error) ?? t('error.failed'));
          }
        },
      }, t('account.logout'))));
    await list(sessions, signal);
  } catch (error) {
    if (signal.aborted || error.name === 'AbortError') return;
    content.replaceChildren(failure(t('account.failed'), error, () => show(main, { signal })));
  }
}

function section(title, ...children) {
  const id = title.replace('.', '-');
  return h('section', { 'aria-labelledby': id }, h('h2', { id }, t(title)), ...children);
}

function profile(user) {
  const form = h('form', { class: 'form' },
    field(t('account.email'), { value: user.email, readonly: true, autocomplete: 'username', type: 'email' }),
    field(t('account.name'), { name: 'name', value: user.name, maxlength: 200, autocomplete: 'name' }),
    h('p', { class: 'actions' }, h('button', { type: 'submit', class: 'button' }, t('account.save'))));
  return submits(form, async (data) => {
    await shop.putUsersMe({ body: { name: data.get('name').trim() || null } });
    say(t('account.saved'));
  });
}

// A new password ends every session, this one too; so it is opened again with the new one.
function password(user, changed) {
  const form = h('form', { class: 'form' },
    h('input', { type: 'hidden', name: 'username', autocomplete: 'username', value: user.email }),
    field(t('account.password.current'), { name: 'current_password', type: 'password', autocomplete: 'current-password', required: true, maxlength: 128 }),
    field(t('account.password.new'), { name: 'new_password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, maxlength: 128 }, t('register.password.explained')),
    h('p', { class: 'actions' }, h('button', { type: 'submit', class: 'button' }, t('account.password.change'))));
  return submits(form, async (data) => {
    const wanted = data.get('new_password');
    await shop.putUsersMe({
      body: { current_password: data.get('current_password'), new_password: wanted, device_token: device() },
    });
    say(t('account.password.changed'));
    form.reset();
    try {
      await logIn({ email: user.email, password: wanted });
    } catch (error) {
      // With a second factor the next call asks for it.
      if (error.type !== '/problems/mfa-required') throw error;
    }
    await changed();
  });
}

/** `Firefox, Linux`: what a program calls itself says more than anybody wants to read. */
function programOf(agent) {
  const browser = ['Edg', 'OPR', 'Firefox', 'Chrome', 'Safari'].find((name) => agent.includes(`${name}/`));
  const system = ['Android', 'iPhone', 'iPad', 'Windows', 'Mac OS', 'Linux'].find((name) => agent.includes(name));
  const names = { Edg: 'Edge', OPR: 'Opera', 'Mac OS': 'macOS' };
  const known = [browser, system].filter(Boolean).map((name) => names[name] ?? name).join(', ');
  return known || agent.slice(0, 60) || t('account.session.unknown');
}

async function list(content, signal) {
  let items;
  try {
    ({ items } = await shop.getUsersMeSessions({ signal }));
  } catch (error) {
    if (signal.aborted || error.name === 'AbortError') return;
    return content.replaceChildren(failure(t('account.failed'), error, () => list(content, signal)));
  }
  const end = async (call, done) => {
    try {
      await call;
      await done();
    } catch (error) {
      if (error.name !== 'AbortError') say(advice(error) ?? t('error.failed'));
    }
  };
  content.replaceChildren(
    h('ul', { class: 'sessions' }, items.map(({ id, user_agent: agent, address, last_used_at: used, current }) =>
      h('li', {},
        h('div', {}, h('p', {}, programOf(agent), current && h('span', { class: 'badge badge-confirmed' }, t('account.session.here'))),
          h('p', { class: 'small' }, [address, t('account.session.used', time(used))].filter(Boolean).join(' · '))),
        !current && h('button', {
          type: 'button', class: 'plain', 'aria-label': t('account.session.end.named', programOf(agent)),
          onclick: () => end(shop.deleteUsersMeSession({ path: { id } }), async () => {
            say(t('account.session.ended'));
            await list(content, signal);
          }),
        }, t('account.session.end'))))),
    h('p', { class: 'actions' }, h('button', {
      type: 'button', class: 'plain',
      onclick: () => end(shop.deleteUsersMeSessions(), () => {
        forget();
        say(t('account.logged_out'));
        go('/');
      }),
    }, t('account.sessions.end'))));
}
