// The orders of whoever is logged in, newest first.
import { failure, h, notice, skeleton } from './elements.js';
import { money, time } from './format.js';
import { count, has, t } from './texts.js';
import { hint, resume, shop } from './session.js';

const PAGE_SIZE = 10;
const statusText = (status) => (has(`order.status.${status}`) ? t(`order.status.${status}`) : status);

export async function show(main, { signal }) {
  const content = main.querySelector('[data-content]');
  content.replaceChildren(skeleton());
  try {
    if (!(await resume())) {
      const next = new URLSearchParams({ next: '/shop/orders' });
      return content.replaceChildren(notice(t('orders.login'), undefined,
        h('a', { class: 'button', href: `/shop/login?${next}` }, t('login.title')),
        h('a', { class: 'plain', href: `/shop/register?${next}` }, t('register.title'))));
    }
    const first = await page('', signal);
    if (signal.aborted) return;
    if (first.items.length === 0) {
      return content.replaceChildren(notice(t('orders.none'), t('orders.none.advice'), h('a', { class: 'button', href: '/' }, t('catalogue.show_all'))));
    }
    const list = h('ul', { class: 'orders' });
    const more = h('div', { class: 'more' });
    content.replaceChildren(list, more);
    append(list, more, first, signal);
  } catch (error) {
    if (signal.aborted || error.name === 'AbortError') return;
    content.replaceChildren(failure(t('orders.failed'), error, () => show(main, { signal })));
  }
}

// One's own: an admin would see everybody's.
const page = (cursor, signal) =>
  shop.listOrders({ query: { page_size: PAGE_SIZE, cursor, user_id: hint().id }, signal });

function append(list, more, { items, next }, signal) {
  const added = items.map(entry);
  list.append(...added);
  if (!next) return more.replaceChildren();
  const load = async () => {
    button.setAttribute('aria-busy', 'true');
    try {
      append(list, more, await page(next, signal), signal);
      list.children[list.children.length - 1]?.scrollIntoView({ block: 'nearest' });
    } catch (error) {
      if (!signal.aborted) more.replaceChildren(failure(t('orders.failed'), error, load));
    }
  };
  const button = h('button', { type: 'button', class: 'plain', onclick: load }, t('orders.more'));
  more.replaceChildren(button);
}

function entry({ id, status, items, total, currency, created_at: createdAt }) {
  const number = items.reduce((sum, { quantity }) => sum + quantity, 0);
  return h('li', {}, h('a', { class: 'order', href: `/shop/orders/${id}` },
    h('span', { class: 'order-when' }, time(createdAt)),
    h('span', { class: 'order-what' }, items.map(({ name }) => name).join(', ')),
    h('span', { class: `badge badge-${/^[a-z_]+$/.test(status) ? status : 'other'}` }, statusText(status)),
    h('span', { class: 'small' }, count('orders.items', number)),
    h('span', { class: 'price' }, money(total, currency))));
}
