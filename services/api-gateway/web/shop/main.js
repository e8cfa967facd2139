// What every page has: who one is, how much is in the cart, and the script of the page that is shown.
import * as cart from './cart.js';
import { count, t } from './texts.js';
import { follow, searchAsTyped, viewer } from './navigation.js';
import { hint, whenEnded } from './session.js';

const VIEWS = {
  catalogue: () => import('./catalogue.js'),
  product: () => import('./catalogue.js'),
  cart: () => import('./cart-page.js'),
  checkout: () => import('./checkout.js'),
  orders: () => import('./orders.js'),
  order: () => import('./order-page.js'),
  account: () => import('./account.js'),
  login: () => import('./login.js'),
  register: () => import('./login.js'),
};

const show = viewer(VIEWS);

function showCount() {
  const badge = document.getElementById('cart-count');
  const number = cart.count();
  badge.hidden = number === 0;
  badge.textContent = number > 99 ? '99+' : number;
  document.getElementById('cart-link').setAttribute('aria-label', number === 0 ? t('nav.cart') : count('nav.cart.count', number));
}

function showAccount() {
  const account = hint();
  document.getElementById('account-name').textContent = account ? account.name || account.email.split('@')[0] : t('nav.account');
}

addEventListener('cart', showCount);
addEventListener('account', showAccount);
whenEnded(async (recent) => (await import('./login.js')).ask(recent));
showCount();
showAccount();
follow(show);
searchAsTyped(document.querySelector('.search'));
show(document.getElementById('main'));
