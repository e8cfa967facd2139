// A product as it is edited: its fields, from the product and back.
import { field, h, labelled } from '../shop/elements.js';
import { language, t } from '../shop/texts.js';

const POINT = language === 'de' ? ',' : '.';
const PRICE = String.raw`\s*\d{1,12}([.,]\d{1,4})?\s*`;
/** Those that a product has, in the order in which they are shown. */
export const FIELDS = ['name', 'description', 'category', 'sku', 'price', 'currency', 'image_url'];

/** A field's value as text; empty where there is none. */
export function textsOf(product) {
  return Object.fromEntries(FIELDS.map((name) => [name, name === 'price' ? String(product.price).replace('.', POINT) : product[name] ?? '']));
}

/** What a form says; lines end as the API has them. */
export const textsIn = (form) => Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim().replace(/\r\n?/g, '\n')]));

export const number = (text) => Number(text.trim().replace(',', '.'));

/** The fields that differ, as the API takes them: an empty one clears what a product may be without. */
export function changes(texts, before) {
  const differ = FIELDS.filter((name) => (name === 'price' ? number(texts.price) !== number(before.price) : texts[name] !== before[name]));
  return Object.fromEntries(differ.map((name) => [name, value(name, texts[name])]));
}

const CLEARED = new Set(['description', 'category', 'image_url']);

function value(name, text) {
  if (name === 'price') return number(text);
  return text === '' && CLEARED.has(name) ? null : text;
}

/** A new product, as the API takes it: what is left empty is left out. */
export function made(texts) {
  return Object.fromEntries(FIELDS.filter((name) => texts[name] !== '').map((name) => [name, value(name, texts[name])]));
}

export function fill(form, texts) {
  for (const name of FIELDS) form.elements[name].value = texts[name];
}

/** The fields; `others` come behind them. */
export function productForm(texts, categories, ...others) {
  const description = h('textarea', { name: 'description', rows: 6, maxlength: 10000 });
  const form = h('form', { class: 'form form-wide' },
    field(t('admin.field.name'), { name: 'name', required: true, maxlength: 200, autocomplete: 'off' }),
    labelled(t('admin.field.description'), description),
    h('div', { class: 'pair' },
      field(t('admin.field.category'), { name: 'category', maxlength: 100, list: 'categories', autocomplete: 'off' }),
      field(t('admin.field.sku'), { name: 'sku', maxlength: 100, autocomplete: 'off' }, t('admin.field.sku.explained'))),
    h('div', { class: 'pair' },
      field(t('admin.field.price'), { name: 'price', required: true, inputmode: 'decimal', pattern: PRICE, title: t('admin.field.price.explained'), autocomplete: 'off' }),
      field(t('admin.field.currency'), { name: 'currency', required: true, pattern: '[A-Z]{3}', maxlength: 3, title: t('admin.field.currency.explained'), autocomplete: 'off' })),
    field(t('admin.field.image_url'), { name: 'image_url', type: 'url', maxlength: 2000, autocomplete: 'off' }, t('admin.field.image_url.explained')),
    h('datalist', { id: 'categories' }, categories.map((name) => h('option', { value: name }))),
    ...others);
  fill(form, texts);
  return form;
}
