// One account: who it is, what it may do, and getting somebody in again who has lost a second factor.
import { h, notice, say } from '../shop/elements.js';
import { time } from '../shop/format.js';
import { t } from '../shop/texts.js';
import { hint, shop } from '../shop/session.js';
import { columns as auditColumns } from './audit.js';
import { sure } from './confirm.js';
import { know } from './people.js';
import { paged } from './table.js';
import { states } from './users.js';

export async function show(main, { content, signal }) {
  const id = location.pathname.split('/').pop();
  let user;
  try {
    user = await shop.getUser({ path: { id }, signal, cache: 'no-store' });
  } catch (error) {
    if (error.status !== 404 && error.status !== 422) throw error;
    return content.replaceChildren(notice(t('admin.user.missing'), undefined, h('a', { class: 'button', href: '/admin/users' }, t('admin.users'))));
  }
  if (signal.aborted) return;
  const facts = h('div', {});
  const actions = h('div', { class: 'powers' });
  const done = h('div', {});
  const changes = () => paged(done, {
    list: 'listAudit', query: { subject_kind: 'user', subject: user.id }, size: 10, signal, label: t('admin.history'),
    columns: auditColumns().filter(({ title }) => title !== t('admin.subject')), nothing: [t('admin.audit.none')],
  });
  const tell = (answer) => {
    user = answer;
    know(user);
    main.querySelector('h1').textContent = user.name || user.email;
    facts.replaceChildren(h('dl', { class: 'pairs' },
      ...[[t('login.email'), user.email], [t('admin.user.role'), h('span', { class: 'badges' }, states(user))], [t('admin.user.since'), time(user.created_at)], [t('admin.changed'), time(user.updated_at)], [t('admin.id'), h('code', {}, user.id)]]
        .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))));
    actions.replaceChildren(...powers(user, async (body) => {
      tell(await shop.updateUser({ path: { id: user.id }, body }));
      say(t('account.saved'));
      await changes();
    }, changes));
  };
  main.querySelector('[data-actions]').replaceChildren(
    h('a', { class: 'plain', href: `/admin/orders?customer=${encodeURIComponent(user.id)}` }, t('admin.customer.orders')),
    h('a', { class: 'plain', href: `/admin/audit?actor=${encodeURIComponent(user.id)}` }, t('admin.user.deeds')));
  content.replaceChildren(
    h('div', { class: 'halves' },
      h('section', { class: 'panel', 'aria-label': t('admin.facts') }, facts),
      h('section', { class: 'panel', 'aria-labelledby': 'powers-heading' }, h('h2', { id: 'powers-heading' }, t('admin.user.powers')), actions)),
    h('section', { 'aria-labelledby': 'history-heading' }, h('h2', { id: 'history-heading' }, t('admin.history')), done));
  tell(user);
  await changes();
}

/** Each with what it means. The API asks for a login of the last minutes, and the page for the password in its turn. */
function powers(user, change, changed) {
  const own = user.id === hint()?.id;
  const power = (name, grave, act) => h('div', { class: 'power' },
    h('div', {}, h('p', { class: 'power-name' }, t(`admin.user.${name}`)), h('p', { class: 'small' }, t(`admin.user.${name}.explained`))),
    h('button', {
      type: 'button', class: grave ? 'plain plain-grave' : 'plain', 'aria-label': t(`admin.user.${name}`),
      onclick: () => sure({ title: t(`admin.user.${name}.sure`, user.email), text: t(`admin.user.${name}.explained`), action: t(`admin.user.${name}`), grave }, act),
    }, t(`admin.user.${name}.do`)));
  return [
    user.role === 'admin' ? power('demote', true, () => change({ role: 'user' })) : power('promote', false, () => change({ role: 'admin' })),
    user.disabled ? power('enable', false, () => change({ disabled: false })) : power('disable', true, () => change({ disabled: true })),
    own ? h('p', { class: 'small' }, t('admin.user.factor.own'), ' ', h('a', { href: '/shop/account' }, t('account.title')))
      : power('factor', true, async () => {
        await shop.deleteUserMfa({ path: { id: user.id } });
        say(t('admin.user.factor.removed'));
        await changed();
      }),
  ];
}
