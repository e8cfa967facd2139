// The messages that could not be worked off, and putting them back.
import { failure, h, notice, say } from '../shop/elements.js';
import { time } from '../shop/format.js';
import { has, t } from '../shop/texts.js';
import { shop } from '../shop/session.js';
import { shortId } from '../shop/order-page.js';
import { sure } from './confirm.js';
import { isId } from './people.js';
import { table } from './table.js';

const SHOWN = 50;

const reasonText = (reason) => (has(`admin.dead.reason.${reason}`) ? t(`admin.dead.reason.${reason}`) : reason);
const order = (subject) => (isId(subject) ? h('a', { href: `/admin/orders/${subject}` }, shortId(subject)) : subject);

/** Shows the oldest in `content`; `redriven` is called when some were put back. */
export async function deadLetters(content, { signal, redriven }) {
  const again = () => deadLetters(content, { signal, redriven });
  let list;
  try {
    list = await shop.listDeadLetters({ query: { limit: SHOWN }, signal, cache: 'no-store' });
  } catch (error) {
    if (!signal.aborted) content.replaceChildren(failure(t('admin.list.failed'), error, again));
    return;
  }
  if (signal.aborted) return;
  const { items, total } = list;
  if (total === 0) return content.replaceChildren(notice(t('admin.dead.none')));

  const redrive = async (body) => {
    const { redriven: count, remaining } = await shop.postDeadLettersRedrive({ body });
    say(remaining > 0 && !body.message_id ? t('admin.dead.some', count, remaining) : t('admin.dead.done', count));
    await Promise.all([redriven(), again()]);
  };
  const button = (id) => h('button', {
    type: 'button', class: 'plain', 'aria-label': t('admin.dead.redrive.one', shortId(id)),
    onclick: () => sure({ title: t('admin.dead.redrive.one', shortId(id)), text: t('admin.dead.redrive.explained'), action: t('admin.dead.redrive') }, () => redrive({ message_id: id })),
  }, t('admin.dead.redrive'));
  const { element, add } = table(t('admin.flow.dead'), [
    { title: t('admin.dead.type'), kind: 'main-cell', cell: ({ type, message_id: id }) => h('span', {}, type ?? '–', id && h('span', { class: 'small what' }, id)) },
    { title: t('admin.order'), cell: ({ subject }) => (subject ? order(subject) : undefined) },
    { title: t('admin.dead.reason'), cell: ({ reason }) => (reason ? reasonText(reason) : undefined) },
    { title: t('admin.when'), kind: 'quiet when', cell: ({ dead_at: at }) => (at ? time(at) : undefined) },
    { title: t('admin.dead.count'), kind: 'number', cell: ({ count }) => String(count) },
    { title: t('admin.dead.action'), kind: 'row-action', cell: ({ message_id: id }) => (id ? button(id) : undefined) },
  ]);
  add(items);
  content.replaceChildren(
    h('p', { class: 'small' }, t('admin.dead.explained')),
    h('div', { class: 'sheet' }, element),
    h('p', { class: 'actions' },
      h('button', {
        type: 'button', class: 'button',
        onclick: () => sure({ title: t('admin.dead.redrive.all', total), text: t('admin.dead.redrive.explained'), action: t('admin.dead.redrive') }, () => redrive({})),
      }, t('admin.dead.redrive.all', total)),
      items.length < total && h('span', { class: 'small' }, t('admin.dead.oldest', items.length, total))));
}
