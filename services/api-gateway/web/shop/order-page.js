// One order, as it is and as it becomes.
import { dialog, failure, h, notice, picture, say, skeleton, submits } from './elements.js';
import { money, time } from './format.js';
import { has, t } from './texts.js';
import { follow, isFinal } from './events.js';
import { shop } from './session.js';

/** Those on the way, and what each status has behind it. */
const STEPS = ['placed', 'confirmed', 'completed'];
const REACHED = { pending: 1, confirmed: 2, completed: 3, rejected: 1, cancelled: 1 };

/** A status that a later version has added is shown as it came. */
export const statusText = (status) => (has(`order.status.${status}`) ? t(`order.status.${status}`) : status);

export const shortId = (id) => id.slice(-8).toUpperCase();

export async function show(main, { signal }) {
  const content = main.querySelector('[data-content]');
  const id = location.pathname.split('/').pop();
  content.replaceChildren(skeleton());
  let order;
  try {
    order = await shop.getOrder({ path: { id }, signal });
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === 404 || error.status === 422) {
      return content.replaceChildren(notice(t('order.missing'), undefined, h('a', { class: 'button', href: '/shop/orders' }, t('orders.title'))));
    }
    if (error.name === 'AbortError') {
      return content.replaceChildren(notice(t('orders.login'), undefined,
        h('a', { class: 'button', href: `/shop/login?${new URLSearchParams({ next: location.pathname })}` }, t('login.title'))));
    }
    return content.replaceChildren(failure(t('order.failed'), error, () => show(main, { signal })));
  }
  if (signal.aborted) return;
  main.querySelector('h1').textContent = t('order.named', shortId(order.id));
  const status = h('section', { class: 'status', 'aria-live': 'polite' });
  const live = h('p', { class: 'live small' });
  const actions = h('div', {});
  const tell = (changed) => {
    order = changed;
    status.replaceChildren(...statusOf(order));
    actions.replaceChildren(...(['pending', 'confirmed'].includes(order.status) ? [cancelButton(order, tell)] : []));
    if (isFinal(order)) live.replaceChildren();
  };
  content.replaceChildren(
    h('p', { class: 'small' }, t('order.placed', time(order.created_at))),
    status, live, itemsOf(order), actions);
  tell(order);
  if (isFinal(order)) return;
  await follow(order.id, {
    signal,
    told: (changed) => { if (changed.status !== order.status) tell(changed); },
    state: (connected) => { live.replaceChildren(h('span', { class: connected ? 'dot' : 'dot dot-off' }), ` ${connected ? t('order.live') : t('order.reconnecting')}`); },
  });
}

/** Where an order is on its way. */
export function steps({ status }) {
  const reached = REACHED[status] ?? 1;
  const off = status === 'rejected' || status === 'cancelled';
  return h('ol', { class: 'steps' },
    (off ? ['placed'] : STEPS).map((step, index) => h('li', { class: index < reached ? 'step step-done' : 'step', 'aria-current': index === reached - 1 && !off ? 'step' : undefined }, t(`order.step.${step}`))),
    off && h('li', { class: 'step step-off', 'aria-current': 'step' }, statusText(status)));
}

/** Why an order was rejected: a line for each product at fault. */
export const reasons = ({ rejection, items }) => (rejection?.items ?? (rejection ? [rejection] : [])).map(({ product_id: product, reason }) => {
  const name = items.find(({ product_id: id }) => id === product)?.name ?? '';
  const key = `order.rejected.${reason}`;
  return has(key) ? t(key, name) : reason;
});

function statusOf(order) {
  const { status } = order;
  const text = reasons(order);
  if (has(`order.says.${status}`)) text.unshift(t(`order.says.${status}`));
  return [h('p', { class: 'status-line', 'data-status': status }, statusText(status)), steps(order), ...text.map((line) => h('p', {}, line))];
}

function itemsOf({ items, total, currency }) {
  return h('section', { 'aria-labelledby': 'items-heading' },
    h('h2', { id: 'items-heading' }, t('order.items')),
    h('ul', { class: 'lines' }, items.map((item) => h('li', { class: 'line' },
      picture(item.product_id),
      h('div', { class: 'line-text' },
        h('a', { href: `/shop/products/${item.product_id}` }, item.name),
        h('p', { class: 'small' }, `${item.quantity} × ${money(item.price, currency)}`)),
      h('p', { class: 'price' }, money(item.total, currency))))),
    h('p', { class: 'summary-line total-line' }, h('span', {}, t('cart.total')), h('span', { class: 'price' }, money(total, currency))));
}

function cancelButton(order, tell) {
  return h('p', {}, h('button', {
    type: 'button', class: 'plain',
    onclick: () => {
      const close = () => box.close();
      const form = submits(h('form', { class: 'form' }, h('p', { class: 'actions' },
        h('button', { type: 'submit', class: 'button button-grave' }, t('order.cancel')),
        h('button', { type: 'button', class: 'plain', onclick: close }, t('order.cancel.keep')))), async () => {
        tell(await shop.updateOrder({ path: { id: order.id }, body: { status: 'cancelled' } }));
        close();
        say(t('order.status.cancelled'));
      });
      const box = dialog(t('order.cancel.sure'), h('p', {}, t('order.cancel.explained')), form);
    },
  }, t('order.cancel')));
}
