// What every page of the admin's has: who one is, and the script of the page that is shown.
import { failure } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { follow } from '../shop/navigation.js';
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
  audit: () => import('./audit.js'),
};

let shown = new AbortController();

async function show(main) {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const load = VIEWS[main.dataset.view];
  const content = main.querySelector('[data-content]');
  if (!load || !content) return;
  const again = () => show(main);
  showSection();
  try {
    if (!(await admitted(content, again))) return;
    const view = await load();
    if (!signal.aborted) await view.show(main, { content, signal });
  } catch (error) {
    if (signal.aborted || error.name === 'AbortError') return;
    if (error.status === 403) return refused(content, error);
    if (!error.advice) console.error(error);
    content.replaceChildren(failure(t('error.page'), error, again));
  }
}

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
