// The cart, checked against what is for sale when it is opened.
import * as cart from './cart.js';
import { failure, h, icon, notice, picture, say, skeleton } from './elements.js';
import { money, sum } from './format.js';
import { t } from './texts.js';
import { shop } from './session.js';

const AT_ONCE = 6;

/** Each line with the product as it is now; none where it is gone. */
async function look(lines, signal) {
  const found = new Map();
  const waiting = [...lines];
  const worker = async () => {
    for (let line = waiting.shift(); line; line = waiting.shift()) {
      try {
        found.set(line.id, await shop.getProduct({ path: { id: line.id }, signal, cache: 'no-cache' }));
      } catch (error) {
        if (error.status !== 404 && error.status !== 422) throw error;
        found.set(line.id, undefined);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found;
}

/** So many can be had; a shop may say only whether any can. */
function left({ stock, availability }) {
  return availability === 'out' ? 0 : stock ?? Infinity;
}

/** Brings the cart up to date, and says what has changed. */
function settle(lines, found) {
  const said = [];
  const soldOut = new Set();
  for (const line of lines) {
    const product = found.get(line.id);
    if (!product) {
      cart.remove(line.id);
      said.push(t('cart.gone', line.name));
      continue;
    }
    const { name, price, currency, category } = product;
    if (price !== line.price || currency !== line.currency) {
      said.push(t('cart.price_changed', name, money(line.price, line.currency)));
    }
    const most = left(product);
    let { quantity } = line;
    if (most === 0) {
      soldOut.add(line.id);
      said.push(t('cart.sold_out', name));
    } else if (quantity > most) {
      quantity = most;
      said.push(t('cart.less', name, most));
    }
    cart.change(line.id, { name, price, currency, category, quantity });
  }
  return { said, soldOut };
}

export async function show(main, { signal }) {
  const content = main.querySelector('[data-content]');
  const open = async () => {
    const lines = cart.lines();
    if (lines.length === 0) return empty(content);
    content.replaceChildren(skeleton());
    try {
      const found = await look(lines, signal);
      if (signal.aborted) return;
      const { said, soldOut } = settle(lines, found);
      list(content, { said, soldOut, signal, open });
    } catch (error) {
      if (signal.aborted) return;
      list(content, { said: [], soldOut: new Set(), signal, open });
      content.prepend(failure(t('cart.failed'), error, open));
    }
  };
  await open();
}

const empty = (content) =>
  content.replaceChildren(notice(t('cart.empty'), t('cart.empty.advice'), h('a', { class: 'button', href: '/' }, t('catalogue.show_all'))));

function list(content, { said, soldOut, signal, open }) {
  const total = h('output', { class: 'price' });
  const checkout = h('a', { class: 'button button-wide', href: '/shop/checkout' }, t('cart.checkout'));
  const mixed = h('p', { class: 'form-wrong', role: 'alert' });
  const items = h('ul', { class: 'lines' });
  const count = () => {
    const lines = cart.lines();
    if (lines.length === 0) return empty(content);
    const currencies = new Set(lines.map(({ currency }) => currency));
    const blocked = currencies.size > 1 || lines.some(({ id }) => soldOut.has(id));
    mixed.replaceChildren(currencies.size > 1 ? t('cart.currencies') : '');
    total.textContent = currencies.size > 1 ? '–' : money(sum(lines, lines[0].currency), lines[0].currency);
    if (blocked) {
      checkout.removeAttribute('href');
      checkout.setAttribute('aria-disabled', 'true');
    } else {
      checkout.setAttribute('href', '/shop/checkout');
      checkout.removeAttribute('aria-disabled');
    }
  };
  const rows = () => cart.lines().map((line) => row(line, soldOut.has(line.id), { count, open }));
  items.append(...rows());
  const changes = said.length > 0 && h('div', { class: 'changes', role: 'status' },
    h('h2', {}, t('cart.changed')), h('ul', {}, said.map((text) => h('li', {}, text))));
  content.replaceChildren(...[changes, h('div', { class: 'basket' }, items,
    h('aside', { class: 'summary', 'aria-label': t('cart.total') },
      h('p', { class: 'summary-line' }, h('span', {}, t('cart.total')), total), mixed, checkout,
      h('p', {}, h('a', { href: '/' }, t('cart.on')))))].filter(Boolean));
  count();
  // Another tab has changed it.
  addEventListener('storage', ({ key }) => {
    if (key !== 'shop.cart') return;
    items.replaceChildren(...rows());
    count();
  }, { signal });
}

function row(line, soldOut, { count: changed, open }) {
  const total = h('p', { class: 'price' }, money(sum([line], line.currency), line.currency));
  const quantity = h('input', {
    type: 'number', inputmode: 'numeric', min: 1, max: cart.MOST_OF_ONE, value: line.quantity,
    'aria-label': t('cart.quantity.of', line.name), disabled: soldOut,
    oninput: () => {
      const wanted = quantity.valueAsNumber;
      if (!Number.isInteger(wanted) || wanted < 1 || wanted > cart.MOST_OF_ONE) return;
      cart.change(line.id, { quantity: wanted });
      total.textContent = money(sum([{ ...line, quantity: wanted }], line.currency), line.currency);
      changed();
    },
    onchange: () => {
      quantity.value = cart.lines().find(({ id }) => id === line.id)?.quantity ?? 1;
    },
  });
  const removed = () => {
    const kept = cart.lines().find(({ id }) => id === line.id) ?? line;
    cart.remove(line.id);
    const item = element;
    const focus = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector('button');
    item.remove();
    (focus ?? document.getElementById('main')).focus();
    changed();
    say(t('cart.removed', line.name), {
      label: t('cart.undo'),
      act: () => {
        cart.add(kept, kept.quantity);
        open();
      },
    });
  };
  const element = h('li', { class: soldOut ? 'line line-none' : 'line' },
    picture(line.id),
    h('div', { class: 'line-text' },
      h('a', { href: `/shop/products/${line.id}` }, line.name),
      h('p', { class: 'small' }, soldOut ? t('availability.out_of_stock') : t('cart.each', money(line.price, line.currency)))),
    quantity,
    total,
    h('button', { type: 'button', class: 'icon-button', 'aria-label': t('cart.remove.named', line.name), onclick: removed }, icon('M5 5l10 10M15 5 5 15')));
  return element;
}
