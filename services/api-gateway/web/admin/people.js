// Accounts by their names: everywhere else the API says who somebody is by an id.
import { h } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { shop } from '../shop/session.js';
import { shortId } from '../shop/order-page.js';

const AT_ONCE = 3;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** What is asked for or known, by id. */
const asked = new Map();
const waiting = [];
let busy = 0;

export const isId = (text) => ID.test(text);

function work() {
  while (busy < AT_ONCE && waiting.length > 0) {
    const { id, done } = waiting.shift();
    busy++;
    shop.getUser({ path: { id } }).then(done, () => {
      // It stays an id, and may be asked for again.
      asked.delete(id);
      done(undefined);
    }).finally(() => {
      busy--;
      work();
    });
  }
}

function find(id) {
  if (!asked.has(id)) {
    asked.set(id, new Promise((done) => { waiting.push({ id, done }); }));
    work();
  }
  return asked.get(id);
}

/** Notes an account that is known already. */
export const know = (user) => asked.set(user.id, Promise.resolve(user));

/** A link to an account; an id until its address is known. */
export function person(id) {
  const link = h('a', { class: 'person', href: `/admin/users/${encodeURIComponent(id)}` }, shortId(id));
  find(id).then((user) => { if (user) link.textContent = user.email; });
  return link;
}

/** The id of what somebody has entered, an id or an address; none where there is no such account. */
export async function idOf(text, signal) {
  if (isId(text)) return text;
  const { items } = await shop.listUsers({ query: { email: text }, signal });
  items.forEach(know);
  return items[0]?.id;
}

/** The name of a role; that of a later version as it came. */
export const roleText = (role) => ({ admin: t('admin.role.admin'), user: t('admin.role.user') })[role] ?? role;
