// Checkout. What is bought is written down with its key before it is sent, and the note stays until it is known what became
// of it: whatever happens in between, the same key is sent again, and the shop places the order once.
import { ShopUnreachable, newIdempotencyKey } from '../../client/shop.mjs';
import { advice } from './advice.js';
import * as cart from './cart.js';
import { failure, h, notice, picture, skeleton } from './elements.js';
import { money, sum } from './format.js';
import { t } from './texts.js';
import { go } from './navigation.js';
import { hint, resume, shop } from './session.js';

const NOTE = 'shop.checkout';
const PLACED = 'shop.placed';
/** The shop keeps keys for 24 hours at least. */
const KEY_IS_GOOD = 20 * 60 * 60 * 1000;
const TOO_MANY = '/problems/too-many-open-orders';
const IN_FLIGHT = '/problems/idempotency-key-in-flight';
/** Some seconds, while the button says that it is buying. */
const ATTEMPTS = 6;

/** `{key, user, lines, sent}`: `sent` is when it was sent first, none before. */
function note() {
  try {
    return JSON.parse(localStorage.getItem(NOTE)) ?? undefined;
  } catch {
    return undefined;
  }
}

const write = (noted) => localStorage.setItem(NOTE, JSON.stringify(noted));
const tearUp = () => localStorage.removeItem(NOTE);

const items = (lines) => lines.map(({ id, quantity }) => ({ product_id: id, quantity }));
const same = (one, other) => JSON.stringify(items(one)) === JSON.stringify(items(other));

/** One tab at a time. */
const alone = (act) => (navigator.locks ? navigator.locks.request(NOTE, act) : act());

export async function show(main, { signal }) {
  const content = main.querySelector('[data-content]');
  content.replaceChildren(skeleton());
  let loggedIn;
  try {
    loggedIn = await resume();
  } catch (error) {
    return content.replaceChildren(failure(t('error.page'), error, () => show(main, { signal })));
  }
  if (signal.aborted) return;
  if (!loggedIn) return askWho(content);
  let noted = note();
  if (noted && noted.user !== hint().id) {
    tearUp();
    noted = undefined;
  }
  if (noted?.sent && Date.now() - noted.sent > KEY_IS_GOOD) {
    tearUp();
    return content.replaceChildren(notice(t('checkout.old'), undefined, h('a', { class: 'button', href: '/shop/orders' }, t('orders.title'))));
  }
  if (noted?.sent) {
    review(content, noted, signal);
    return buy(content, noted.key, signal, t('checkout.resumed'));
  }
  const lines = cart.lines();
  if (lines.length === 0) return nothing(content);
  if (!noted || !same(noted.lines, lines)) {
    noted = { key: newIdempotencyKey(), user: hint().id, lines };
    write(noted);
  }
  review(content, noted, signal);
}

function askWho(content) {
  if (cart.lines().length === 0 && !note()) return nothing(content);
  const next = new URLSearchParams({ next: '/shop/checkout' });
  content.replaceChildren(notice(t('checkout.login'), undefined,
    h('a', { class: 'button', href: `/shop/login?${next}` }, t('login.title')),
    h('a', { class: 'plain', href: `/shop/register?${next}` }, t('register.title'))));
}

function nothing(content) {
  const placed = sessionStorage.getItem(PLACED) ?? localStorage.getItem(PLACED);
  if (placed) {
    content.replaceChildren(notice(t('checkout.done'), undefined,
      h('a', { class: 'button', href: `/shop/orders/${encodeURIComponent(placed)}` }, t('checkout.see')),
      h('a', { class: 'plain', href: '/' }, t('cart.on'))));
  } else {
    content.replaceChildren(notice(t('checkout.nothing'), t('cart.empty.advice'), h('a', { class: 'button', href: '/' }, t('catalogue.show_all'))));
  }
}

function review(content, { key, lines }, signal) {
  const { currency } = lines[0];
  const account = hint();
  const form = h('form', { class: 'summary' },
    h('p', { class: 'summary-line' }, h('span', {}, t('cart.total')), h('output', { class: 'price' }, money(sum(lines, currency), currency))),
    h('p', { class: 'small' }, `${t('checkout.account')} ${account.name ? `${account.name}, ` : ''}${account.email}`),
    h('button', { type: 'submit', class: 'button button-wide' }, t('checkout.buy')),
    h('div', { class: 'outcome', 'aria-live': 'assertive' }),
    h('p', { class: 'small' }, t('checkout.promise')),
    h('p', {}, h('a', { href: '/shop/cart' }, t('checkout.edit'))));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    buy(content, key, signal);
  });
  content.replaceChildren(h('div', { class: 'basket' },
    h('section', { 'aria-labelledby': 'review-heading' },
      h('h2', { id: 'review-heading', class: 'unseen' }, t('checkout.review')),
      h('ul', { class: 'lines' }, lines.map((line) => h('li', { class: 'line' },
        picture(line.id),
        h('div', { class: 'line-text' }, h('p', {}, line.name), h('p', { class: 'small' }, `${line.quantity} × ${money(line.price, line.currency)}`)),
        h('p', { class: 'price' }, money(sum([line], line.currency), line.currency)))))),
    form));
}

async function buy(content, key, signal, said = undefined) {
  const form = content.querySelector('form');
  if (form.hasAttribute('aria-busy')) return;
  const button = form.querySelector('button');
  const outcome = form.querySelector('.outcome');
  form.setAttribute('aria-busy', 'true');
  button.setAttribute('aria-disabled', 'true');
  button.textContent = t('checkout.buying');
  outcome.replaceChildren(said ? h('p', {}, said) : '');
  const done = () => {
    form.removeAttribute('aria-busy');
    button.removeAttribute('aria-disabled');
    button.textContent = t('checkout.buy');
  };
  try {
    const order = await alone(() => place(key));
    if (order === undefined) return nothing(content);
    if (!signal.aborted) go(`/shop/orders/${order.id}`, { history: 'replace' });
  } catch (error) {
    done();
    if (error.name === 'AbortError') return outcome.replaceChildren();
    const unsure = error instanceof ShopUnreachable || error.status >= 500 || error.type === IN_FLIGHT;
    button.textContent = unsure ? t('again') : t('checkout.buy');
    outcome.replaceChildren(unsure ? h('p', { class: 'form-wrong' }, t('checkout.unsure'))
      : h('p', { class: 'form-wrong' }, error.status === 429 ? advice(error)
        : `${t('checkout.refused')} ${error.type === TOO_MANY ? advice(error) : t('checkout.refused.advice')}`));
    button.focus();
  }
}

/** The order; none where another tab has placed it meanwhile. */
async function place(key) {
  const noted = note();
  if (noted?.key !== key) return undefined;
  write({ ...noted, sent: noted.sent ?? Date.now() });
  try {
    const order = await shop.createOrder({ body: { items: items(noted.lines) }, idempotencyKey: key, attempts: ATTEMPTS });
    localStorage.setItem(PLACED, order.id);
    sessionStorage.setItem(PLACED, order.id);
    tearUp();
    cart.takeOut(items(noted.lines));
    return order;
  } catch (error) {
    // Refused for good: nothing was bought, and the key is still unused. It was only not sent if nobody has logged in.
    const refused = error.type === TOO_MANY
      || (error.status >= 400 && error.status < 500 && ![401, 408, 409, 429].includes(error.status));
    if (refused || (error.name === 'AbortError' && !noted.sent)) write({ ...noted, sent: undefined });
    throw error;
  }
}
