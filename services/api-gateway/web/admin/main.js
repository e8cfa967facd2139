// What every page of the admin's has: who one is, and the script of the page that is shown.
import { advice } from '../shop/advice.js';
import { t } from '../shop/texts.js';
import { follow, viewer } from '../shop/navigation.js';
import { hint, whenEnded } from '../shop/session.js';
import { admitted, refused } from './access.js';
import { askBeforeLeaving } from './confirm.js';

const VIEWS = {
  overview: () => import('./overview.js'),
  products: () => import('./products.js'),
  product: () => import('./product.js'),
  import: () => import('./import.js'),
  orders: () => import('./orders.js'),
  order: () => import('./order.js'),
  users: () => import('./users.js'),
  user: () => import('./user.js'),
  flow: () => import('./flow.js'),
  audit: () => import('./audit.js'),
};

const show = viewer(VIEWS, {
  admit(content, again) {
    showSection();
    return admitted(content, again);
  },
  told(error, content) {
    if (error.status === 403) refused(content, error);
    else if (!advice(error)) console.error(error);
    return error.status === 403;
  },
});

/** On narrow screens the sections are a line that is longer than the screen. */
function showSection() {
  const current = document.querySelector('#sections [aria-current]');
  const line = current?.closest('ul');
  if (line) line.scrollLeft = current.offsetLeft - (line.clientWidth - current.offsetWidth) / 2;
}

function showAccount() {
  const account = hint();
  document.getElementById('account-name').textContent = account ? account.name || account.email : t('nav.account');
}

addEventListener('account', showAccount);
whenEnded(async (recent) => (await import('../shop/login.js')).ask(recent));
showAccount();
askBeforeLeaving();
follow(show, {
  is: (path) => path === '/admin' || path.startsWith('/admin/'),
  parts: ['main', 'sections', 'languages'],
});
show(document.getElementById('main'));
