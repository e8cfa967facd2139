// Who may be here. The API decides it at every call; this only says it in words, before and after.
import { h, notice, skeleton } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { loginForm } from '../shop/login.js';
import { resume, shop } from '../shop/session.js';

/** Whether an admin is logged in; where none is, the page says so. `again` shows it once somebody is. */
export async function admitted(content, again) {
  if (!(await resume())) {
    content.replaceChildren(h('section', { class: 'narrow', 'aria-labelledby': 'login-heading' },
      h('h2', { id: 'login-heading' }, t('login.title')),
      h('p', { class: 'quiet' }, t('admin.login')),
      loginForm(() => {
        content.replaceChildren(skeleton());
        again();
      })));
    return false;
  }
  const { role } = shop.session.user;
  if (role === 'admin') return true;
  refused(content);
  return false;
}

/** Says that the API does not let this account do that. */
export function refused(content, error) {
  const toShop = h('a', { class: 'plain', href: '/' }, t('admin.to_shop'));
  content.replaceChildren(error?.type === '/problems/admin-mfa-required'
    ? notice(t('admin.factor'), t('admin.factor.advice'), h('a', { class: 'button', href: '/shop/account' }, t('admin.factor.begin')), toShop)
    : notice(t('admin.forbidden'), t('admin.forbidden.advice'), h('a', { class: 'button', href: '/shop/account' }, t('account.title')), toShop));
}
