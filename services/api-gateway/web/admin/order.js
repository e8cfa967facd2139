// One order: what is in it, what happened to it, and what may be done with it.
import { h, notice, picture, say } from '../shop/elements.js';
import { money, time } from '../shop/format.js';
import { t } from '../shop/texts.js';
import { follow, isFinal } from '../shop/events.js';
import { reasons, shortId, statusText, steps } from '../shop/order-page.js';
import { shop } from '../shop/session.js';
import { actionText, all } from './audit.js';
import { sure } from './confirm.js';
import { person } from './people.js';

const read = async (id, signal) => {
  const { data, response } = await shop.call('getOrder', { path: { id }, signal, cache: 'no-store' });
  return { order: data, tag: response.headers.get('etag') };
};

export async function show(main, { content, signal }) {
  const id = location.pathname.split('/').pop();
  let known;
  try {
    known = await read(id, signal);
  } catch (error) {
    if (error.status !== 404 && error.status !== 422) throw error;
    return content.replaceChildren(notice(t('admin.order.missing'), undefined, h('a', { class: 'button', href: '/admin/orders' }, t('admin.orders'))));
  }
  if (signal.aborted) return;
  const { order } = known;
  main.querySelector('h1').textContent = t('order.named', shortId(order.id));
  const status = h('section', { class: 'status', 'aria-live': 'polite' });
  const history = h('div', {});
  const actions = main.querySelector('[data-actions]');
  const tell = async (answer) => {
    known = answer;
    status.replaceChildren(
      h('p', { class: 'status-line', 'data-status': known.order.status }, statusText(known.order.status)),
      steps(known.order), ...reasons(known.order).map((line) => h('p', {}, line)));
    actions.replaceChildren(...doable(known, () => read(id, signal), tell));
    await happened(history, known.order, signal);
  };
  content.replaceChildren(
    h('div', { class: 'halves halves-form' },
      h('div', { class: 'stack' }, status, items(order)),
      h('div', { class: 'stack' },
        h('section', { class: 'panel', 'aria-label': t('admin.facts') }, h('dl', { class: 'pairs' },
          ...[[t('admin.customer'), person(order.user_id)], [t('admin.placed'), time(order.created_at)], [t('admin.id'), h('code', {}, order.id)]]
            .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
        h('p', {}, h('a', { class: 'small', href: `/admin/orders?customer=${encodeURIComponent(order.user_id)}` }, t('admin.customer.orders')))),
        h('section', { class: 'panel', 'aria-labelledby': 'history-heading' }, h('h2', { id: 'history-heading' }, t('admin.history')), history))));
  await tell(known);
  if (isFinal(order)) return;
  await follow(order.id, {
    signal, state: () => {},
    told: async (changed) => { if (changed.status !== known.order.status) await tell(await read(id, signal)); },
  });
}

function items({ items: lines, total, currency }) {
  return h('section', { class: 'panel', 'aria-labelledby': 'items-heading' },
    h('h2', { id: 'items-heading' }, t('order.items')),
    h('ul', { class: 'lines' }, lines.map((item) => h('li', { class: 'line' },
      picture(item.product_id),
      h('div', { class: 'line-text' },
        h('a', { href: `/admin/products/${item.product_id}` }, item.name),
        h('p', { class: 'small' }, `${item.quantity} × ${money(item.price, currency)}`)),
      h('p', { class: 'price' }, money(item.total, currency))))),
    h('p', { class: 'summary-line total-line' }, h('span', {}, t('cart.total')), h('span', { class: 'price' }, money(total, currency))));
}

/** As far as the API allows: `confirmed → completed`, `pending | confirmed → cancelled`. */
function doable({ order, tag }, again, tell) {
  const change = (status) => async () => {
    try {
      const { data, response } = await shop.call('updateOrder', { path: { id: order.id }, header: { 'If-Match': tag }, body: { status } });
      await tell({ order: data, tag: response.headers.get('etag') });
      say(statusText(status));
    } catch (error) {
      if (error.status === 412 || error.status === 409) await tell(await again());
      throw error;
    }
  };
  const button = (status, kind, title, text) => h('button', {
    type: 'button', class: kind,
    onclick: () => sure({ title: t(`${title}.sure`), text: t(text), action: t(title), grave: status === 'cancelled' }, change(status)),
  }, t(title));
  return [
    ['pending', 'confirmed'].includes(order.status) && button('cancelled', 'plain plain-grave', 'order.cancel', 'order.cancel.explained'),
    order.status === 'confirmed' && button('completed', 'button', 'admin.order.complete', 'admin.order.complete.explained'),
  ].filter(Boolean);
}

/** What happened, as far as it was recorded: the customer's order, what people did to it, and how it stands. */
async function happened(content, order, signal) {
  const records = await all({ subject_kind: 'order', subject: order.id, limit: 100 }, signal);
  if (signal.aborted) return;
  const by = (actor) => (actor.user_id ? person(actor.user_id) : t(`admin.actor.${actor.kind}`));
  const entries = [
    { at: order.created_at, what: t('order.step.placed'), who: person(order.user_id) },
    ...records.map((record) => ({ at: record.at, what: actionText(record.action), who: by(record.actor), why: record.reason })),
  ];
  // The shop itself has decided that; of what people do there is a record.
  if (['confirmed', 'rejected'].includes(order.status)) entries.push({ at: order.updated_at, what: statusText(order.status), who: t('admin.actor.system') });
  entries.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  content.replaceChildren(h('ol', { class: 'happened' }, entries.map(({ at, what, who, why }) => h('li', {},
    h('p', {}, h('b', {}, what), ' ', h('span', { class: 'small' }, t('admin.by'), ' ', who)),
    why && h('p', {}, why),
    h('p', { class: 'small' }, time(at))))));
}
