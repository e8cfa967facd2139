// Two have changed the same product: both versions side by side, and a choice for each field that differs.
import { h, submits } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { FIELDS } from './product-form.js';

/**
 * `before` is what one began with, `mine` what one wants, `theirs` what the shop has now. What only one of the two has changed
 * is chosen already. `save` gets what is chosen, `drop` is to take the shop's.
 */
export function conflict({ before, mine, theirs }, { save, drop }) {
  const differ = FIELDS.filter((name) => mine[name] !== theirs[name]);
  const choice = (name, side, text, chosen) => h('label', { class: 'choice' },
    h('input', { type: 'radio', name, value: side, checked: chosen, 'aria-label': `${t(`admin.field.${name}`)}: ${t(`admin.conflict.${side}`)}` }),
    h('span', {}, text || h('i', {}, t('admin.conflict.empty'))));
  const rows = differ.map((name) => {
    const touched = mine[name] !== before[name];
    return h('tr', { role: 'row' },
      h('th', { role: 'rowheader', scope: 'row' }, t(`admin.field.${name}`)),
      h('td', { role: 'cell' }, choice(name, 'mine', mine[name], touched)),
      h('td', { role: 'cell' }, choice(name, 'theirs', theirs[name], !touched)));
  });
  const form = submits(h('form', {},
    h('div', { class: 'sheet' }, h('table', { class: 'versions', role: 'table' },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, h('td', { role: 'cell' }),
        h('th', { role: 'columnheader', scope: 'col' }, t('admin.conflict.mine')), h('th', { role: 'columnheader', scope: 'col' }, t('admin.conflict.theirs')))),
      h('tbody', { role: 'rowgroup' }, rows))),
    h('p', { class: 'actions' },
      h('button', { type: 'submit', class: 'button' }, t('admin.conflict.save')),
      h('button', { type: 'button', class: 'plain', onclick: drop }, t('admin.conflict.drop')))), async (data) => {
    const chosen = differ.map((name) => [name, data.get(name) === 'mine' ? mine[name] : theirs[name]]);
    await save({ ...theirs, ...Object.fromEntries(chosen) });
  });
  const heading = h('h2', { id: 'conflict-heading', tabindex: -1 }, t('admin.conflict.title'));
  const section = h('section', { class: 'conflict', 'aria-labelledby': 'conflict-heading' }, heading, h('p', {}, t('admin.conflict.explained')), form);
  return { section, heading };
}
