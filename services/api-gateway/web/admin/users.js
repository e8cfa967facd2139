// Every account, newest first, or the one with an address.
import { h } from '../shop/elements.js';
import { time } from '../shop/format.js';
import { count, t } from '../shop/texts.js';
import { filters, wanted, wrong } from './filters.js';
import { know, roleText } from './people.js';
import { paged, rowLink } from './table.js';

export async function show(main, { content, signal }) {
  const email = wanted('email');
  const form = filters([{ name: 'email', label: t('login.email'), type: 'search', maxlength: 254, autocomplete: 'off', placeholder: t('admin.users.explained') }]);
  const list = h('div', {});
  content.replaceChildren(form, list);
  if (email && !/^\S+@\S+$/.test(email)) {
    wrong(form, 'email', t('error.field.email'));
    return;
  }
  await paged(list, {
    list: 'listUsers', query: email ? { email } : {}, signal, label: t('admin.users'), columns: columns(),
    counted: (total) => count('admin.users.found', total),
    nothing: [t('admin.users.nobody', email)],
    added: (users) => users.forEach(know),
  });
}

export const states = ({ role, disabled }) => [
  role === 'user' ? roleText(role) : h('span', { class: 'badge badge-confirmed' }, roleText(role)),
  disabled && h('span', { class: 'badge badge-cancelled' }, t('admin.user.disabled')),
];

const columns = () => [
  { title: t('login.email'), kind: 'main-cell', cell: ({ id, email }) => rowLink(`/admin/users/${id}`, email) },
  { title: t('account.name'), kind: 'long', cell: ({ name }) => name || undefined },
  { title: t('admin.user.role'), cell: (user) => h('span', { class: 'badges' }, states(user)) },
  { title: t('admin.user.since'), kind: 'quiet when', cell: ({ created_at: at }) => time(at) },
];
