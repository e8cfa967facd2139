// What people did, newest first, by who, what, which and when.
import { h, notice } from '../shop/elements.js';
import { time } from '../shop/format.js';
import { has, t } from '../shop/texts.js';
import { shop } from '../shop/session.js';
import { shortId } from '../shop/order-page.js';
import { day, filters, wanted, wrong } from './filters.js';
import { idOf, isId, person } from './people.js';
import { paged } from './table.js';

const ACTIONS = [
  'product.created', 'product.updated', 'product.deleted', 'stock.adjusted', 'order.cancelled', 'order.completed',
  'user.registered', 'user.renamed', 'user.password_changed', 'user.role_changed', 'user.disabled', 'user.enabled',
  'user.second_factor_added', 'user.second_factor_removed', 'user.session_revoked', 'user.sessions_ended',
];
const KINDS = ['product', 'order', 'user'];
const PAGES = { product: 'products', order: 'orders', user: 'users' };
/** So many fields of a change are shown at once. */
const FIRST = 3;
/** So many records of one thing are read at most. */
const MOST = 500;

/** An action in words; one of a later version as it came. */
export const actionText = (action) => (has(`admin.action.${action}`) ? t(`admin.action.${action}`) : action);

/** Every record of a query, page after page. */
export async function all(query, signal) {
  const records = [];
  for await (const record of shop.each('listAudit', { query, signal })) {
    records.push(record);
    if (records.length === MOST) break;
  }
  return records;
}

export async function show(main, { content, signal }) {
  const form = filters([
    { name: 'actor', label: t('admin.actor'), placeholder: t('admin.customer.explained'), maxlength: 254, autocomplete: 'off' },
    { name: 'action', label: t('admin.what'), options: [['', t('admin.any')], ...ACTIONS.map((action) => [action, actionText(action)])] },
    { name: 'kind', label: t('admin.subject'), options: [['', t('admin.any')], ...KINDS.map((kind) => [kind, t(`admin.kind.${kind}`)])] },
    { name: 'subject', label: t('admin.subject.id'), maxlength: 36, autocomplete: 'off' },
    { name: 'from', label: t('admin.from'), type: 'date' },
    { name: 'to', label: t('admin.to'), type: 'date' },
  ]);
  const list = h('div', {});
  content.replaceChildren(form, list);
  const [actor, subject] = [wanted('actor'), wanted('subject')];
  if (subject && !isId(subject)) return wrong(form, 'subject', t('admin.subject.wrong'));
  const query = { subject, action: wanted('action'), subject_kind: wanted('kind'), since: day(wanted('from')), until: day(wanted('to'), 1) };
  if (actor) {
    try {
      query.actor = await idOf(actor, signal);
    } catch (error) {
      if (error.status !== 422) throw error;
      return wrong(form, 'actor', t('admin.customer.wrong'));
    }
    if (!query.actor) return list.replaceChildren(notice(t('admin.users.nobody', actor)));
  }
  await paged(list, {
    list: 'listAudit', query: Object.fromEntries(Object.entries(query).filter(([, value]) => value)), signal,
    label: t('admin.audit'), columns: columns(), nothing: [t('admin.audit.nothing'), t('admin.filter.advice')],
  });
}

function subjectOf({ kind, id }) {
  const name = `${has(`admin.kind.${kind}`) ? t(`admin.kind.${kind}`) : kind} ${shortId(id)}`;
  return PAGES[kind] ? h('a', { href: `/admin/${PAGES[kind]}/${id}` }, name) : name;
}

const isEmpty = (text) => text === null || text === '';
const value = (text) => (isEmpty(text) ? h('i', { class: 'quiet' }, t('admin.conflict.empty')) : h('q', {}, text));
const fieldText = (field) => (has(`admin.field.${field}`) ? t(`admin.field.${field}`) : field);

/** Of what was made there is no value before it. */
const change = ({ field, old, new: now }) => h('li', {},
  h('span', { class: 'small' }, `${fieldText(field)}: `), ...(old === null ? [] : [value(old), ' → ']), value(now));

function changesOf({ changes, reason }) {
  const told = changes.filter(({ old, new: now }) => !(isEmpty(old) && isEmpty(now)));
  if (told.length === 0 && !reason) return undefined;
  const [first, rest] = [told.slice(0, FIRST), told.slice(FIRST)];
  return h('div', { class: 'changed' },
    reason && h('p', {}, reason),
    first.length > 0 && h('ul', {}, first.map(change)),
    rest.length > 0 && h('details', {}, h('summary', {}, t('admin.audit.more', rest.length)), h('ul', {}, rest.map(change))));
}

/** Of a list of records; `few` are those for where there is little room. */
export const columns = () => [
  { title: t('admin.what'), kind: 'main-cell', few: true, cell: ({ action }) => actionText(action) },
  { title: t('admin.subject'), few: true, cell: ({ subject }) => subjectOf(subject) },
  {
    title: t('admin.actor'), kind: 'who', few: true,
    cell: ({ actor }) => h('span', {}, actor.user_id ? person(actor.user_id) : has(`admin.actor.${actor.kind}`) ? t(`admin.actor.${actor.kind}`) : actor.kind,
      actor.address && h('span', { class: 'small what' }, actor.address)),
  },
  { title: t('admin.when'), kind: 'quiet when', few: true, cell: ({ at }) => time(at) },
  { title: t('admin.audit.changes'), kind: 'wide-cell', cell: changesOf },
];
