// Everybody's orders, newest first, by customer, status and time.
import { h, notice } from '../shop/elements.js';
import { money, time } from '../shop/format.js';
import { count, t } from '../shop/texts.js';
import { shortId, statusText } from '../shop/order-page.js';
import { day, filters, wanted, wrong } from './filters.js';
import { idOf, person } from './people.js';
import { paged, rowLink } from './table.js';

const STATUSES = ['pending', 'confirmed', 'completed', 'cancelled', 'rejected'];

export async function show(main, { content, signal }) {
  const form = filters([
    { name: 'customer', label: t('admin.customer'), placeholder: t('admin.customer.explained'), maxlength: 254, autocomplete: 'off' },
    { name: 'status', label: t('admin.status'), options: [['', t('admin.any')], ...STATUSES.map((status) => [status, statusText(status)])] },
    { name: 'from', label: t('admin.from'), type: 'date' },
    { name: 'to', label: t('admin.to'), type: 'date' },
  ]);
  const list = h('div', {});
  content.replaceChildren(form, list);
  const query = { status: wanted('status'), created_from: day(wanted('from')), created_to: day(wanted('to'), 1) };
  const customer = wanted('customer');
  if (customer) {
    query.user_id = await customerOf(customer, form, signal);
    if (signal.aborted) return;
    if (!query.user_id) return list.replaceChildren(notice(t('admin.users.nobody', customer)));
  }
  const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value));
  await paged(list, {
    list: 'listOrders', query: given, signal, label: t('admin.orders'), columns: columns(),
    counted: (total) => count('admin.orders.found', total),
    nothing: Object.keys(given).length > 0 ? [t('admin.orders.nothing'), t('admin.filter.advice')] : [t('admin.orders.none')],
  });
}

async function customerOf(text, form, signal) {
  try {
    return await idOf(text, signal);
  } catch (error) {
    if (error.status !== 422) throw error;
    wrong(form, 'customer', t('admin.customer.wrong'));
    return undefined;
  }
}

/** A status as it stands in lists. */
export const badge = (status) => h('span', { class: `badge badge-${/^[a-z_]+$/.test(status) ? status : 'other'}` }, statusText(status));

/** Of a list of orders; `few` are those for where there is little room. */
export const columns = () => [
  {
    title: t('admin.order'), kind: 'main-cell', few: true,
    cell: ({ id, items }) => h('span', {}, rowLink(`/admin/orders/${id}`, shortId(id)), h('span', { class: 'small what' }, items.map(({ name, quantity }) => `${quantity} × ${name}`).join(', '))),
  },
  { title: t('admin.customer'), kind: 'who', cell: ({ user_id: user }) => person(user) },
  { title: t('admin.when'), kind: 'quiet when', few: true, cell: ({ created_at: at }) => time(at) },
  { title: t('admin.status'), few: true, cell: ({ status }) => badge(status) },
  { title: t('cart.total'), kind: 'number', few: true, cell: ({ total, currency }) => money(total, currency) },
];
