// Filters of a list: a form whose values are the page's address, so that they can be kept, sent and gone back to.
import { h, labelled, mark } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { go } from '../shop/navigation.js';

/** What the address says. */
export const wanted = (name) => new URLSearchParams(location.search).get(name)?.trim() ?? '';

/** A control that is labelled, and set to what the address says. */
function control({ name, label, type = 'text', options, ...attributes }) {
  const value = wanted(name);
  const input = options
    ? h('select', { name, ...attributes }, options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)))
    : h('input', { name, type, value, ...attributes });
  return labelled(label, input);
}

/** `fields` are `{ name, label, type?, options? }`. */
export function filters(fields) {
  const any = fields.some(({ name }) => wanted(name));
  const form = h('form', { class: 'filters', role: 'search', action: location.pathname },
    fields.map(control),
    h('p', { class: 'actions' },
      h('button', { type: 'submit', class: 'button' }, t('admin.filter')),
      any && h('a', { class: 'plain', href: location.pathname }, t('admin.filter.none'))));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const given = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
    go(given.length > 0 ? `${location.pathname}?${new URLSearchParams(given)}` : location.pathname);
  });
  return form;
}

/** Says that there is nothing that a filter could mean. */
export const wrong = (form, name, text) => mark(form, name, text);

/** The beginning of a day here, and of the day after it, for `2026-03-31`; none where it is no day. */
export function day(text, later = 0) {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  if (!year) return undefined;
  return new Date(Number(year), Number(month) - 1, Number(date) + later).toISOString();
}
