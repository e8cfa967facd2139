// Lists: a table that reads as cards where there is little room, filled page after page.
import { failure, h, notice, skeleton } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { shop } from '../shop/session.js';

/**
 * A table with that name. A column is `{ title, kind, cell }`: `cell` makes what stands there of an item, `kind` is a class.
 * The roles are said, since a table that is laid out otherwise would lose them.
 */
export function table(label, columns) {
  const body = h('tbody', { role: 'rowgroup' });
  const element = h('table', { class: 'list', role: 'table', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' },
      columns.map(({ title, kind }) => h('th', { role: 'columnheader', scope: 'col', class: kind }, title)))),
    body);
  const row = (item) => h('tr', { role: 'row' }, columns.map(({ title, kind, cell }) => {
    const value = cell(item) ?? undefined;
    // Where rows are cards, what is not there is left out.
    const classes = [kind, value === undefined && 'none'].filter(Boolean).join(' ');
    return h('td', { role: 'cell', class: classes || undefined, 'data-title': title }, value ?? '–');
  }));
  return { element, add: (items) => body.append(...items.map(row)) };
}

/** What leads from a row to its own page, wherever in the row one presses. */
export const rowLink = (href, ...children) => h('a', { class: 'row-link', href }, ...children);

/**
 * Shows what the call `list` answers to that `path` and `query` in `content`, by cursor. `nothing` is what is said where it is empty, `added` is
 * called with what has been shown each time, and with whether that was all; `rest` is the page that has the rest, where this
 * list is only its beginning.
 */
export async function paged(content, { list, path = {}, query = {}, size = 20, label, columns, nothing, signal, counted, added, rest }) {
  const sizeName = list === 'listAudit' ? 'limit' : 'page_size';
  const page = (cursor) => shop[list]({ path, query: { ...query, [sizeName]: size, cursor }, signal, authenticated: true, cache: 'no-store' });
  const start = async () => {
    content.replaceChildren(skeleton());
    try {
      const first = await page('');
      if (signal.aborted) return;
      if (first.items.length === 0) {
        content.replaceChildren(notice(...[nothing].flat()));
        return;
      }
      const { element, add } = table(label, columns);
      const more = h('div', { class: 'more' });
      content.replaceChildren(
        ...(counted && first.total !== undefined ? [h('p', { class: 'small counted' }, counted(first.total))] : []),
        h('div', { class: 'sheet' }, element), more);
      append(add, more, first);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 403 || error.name === 'AbortError') throw error;
      content.replaceChildren(failure(t('admin.list.failed'), error, start));
    }
  };
  const append = (add, more, { items, next }) => {
    add(items);
    added?.(items, !next);
    if (!next) return more.replaceChildren();
    if (rest) return more.replaceChildren(h('a', { class: 'plain', href: rest }, t('admin.more')));
    const load = async () => {
      if (button.getAttribute('aria-busy')) return;
      button.setAttribute('aria-busy', 'true');
      try {
        append(add, more, await page(next));
      } catch (error) {
        if (!signal.aborted) more.replaceChildren(failure(t('admin.list.failed'), error, load));
      } finally {
        button.removeAttribute('aria-busy');
      }
    };
    const button = h('button', { type: 'button', class: 'plain', onclick: load }, t('admin.more'));
    more.replaceChildren(button);
  };
  await start();
}
