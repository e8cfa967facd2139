// How the shop is doing: what waits, what came in last, and what was done last.
import { h } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { shop } from '../shop/session.js';
import { statusText } from '../shop/order-page.js';
import { columns as auditColumns } from './audit.js';
import { columns as orderColumns } from './orders.js';
import { paged } from './table.js';

const STATUSES = ['pending', 'confirmed', 'completed', 'cancelled', 'rejected'];
/** The API counts exactly so far. */
const COUNTED = 10_000;

export async function show(main, { content, signal }) {
  const totals = await Promise.all([
    ...STATUSES.map((status) => shop.listOrders({ query: { status, page_size: 1 }, signal })),
    shop.listProducts({ query: { page_size: 1 }, signal, cache: 'no-store' }),
  ]);
  if (signal.aborted) return;
  const tile = (href, text, { total }, kind) => h('li', {}, h('a', { class: `tile ${kind}`, href },
    h('span', { class: 'tile-number' }, total >= COUNTED ? `${COUNTED}+` : total),
    h('span', {}, text)));
  const orders = h('div', {});
  const changes = h('div', {});
  content.replaceChildren(
    h('ul', { class: 'tiles' },
      STATUSES.map((status, index) => tile(`/admin/orders?status=${status}`, statusText(status), totals[index], `tile-${status}`)),
      tile('/admin/products', t('admin.products'), totals[STATUSES.length], '')),
    h('div', { class: 'halves halves-lists' },
      h('section', { 'aria-labelledby': 'newest' }, h('h2', { id: 'newest' }, t('admin.overview.orders')), orders),
      h('section', { 'aria-labelledby': 'changes' }, h('h2', { id: 'changes' }, t('admin.overview.changes')), changes)));
  const last = { size: 6, signal };
  await Promise.all([
    paged(orders, { ...last, list: 'listOrders', rest: '/admin/orders', label: t('admin.overview.orders'), columns: orderColumns().filter(({ few }) => few), nothing: [t('admin.orders.none')] }),
    paged(changes, { ...last, list: 'listAudit', rest: '/admin/audit', label: t('admin.overview.changes'), columns: auditColumns().filter(({ few }) => few), nothing: [t('admin.audit.none')] }),
  ]);
}
