// Every product, found by words, category and order.
import { h, icon, picture } from '../shop/elements.js';
import { money, time } from '../shop/format.js';
import { count, t } from '../shop/texts.js';
import { shop } from '../shop/session.js';
import { filters, wanted } from './filters.js';
import { paged, rowLink } from './table.js';

const SORTS = ['', 'created_at', 'name', '-name', 'price', '-price'];
/** So few are told apart. */
const FEW = 5;

export async function show(main, { content, signal }) {
  main.querySelector('[data-actions]').replaceChildren(
    h('a', { class: 'plain', href: '/admin/import' }, t('admin.import')),
    h('a', { class: 'button', href: '/admin/products/new' }, icon('M10 4v12M4 10h12'), t('admin.product.new')));
  const categories = (await shop.listCategories({ signal })).items.map(({ name }) => name);
  if (signal.aborted) return;
  const category = wanted('category');
  if (category && !categories.includes(category)) categories.push(category);
  const list = h('div', {});
  content.replaceChildren(
    filters([
      { name: 'q', label: t('search.label'), type: 'search', maxlength: 200 },
      { name: 'category', label: t('admin.field.category'), options: [['', t('admin.any')], ...categories.map((name) => [name, name])] },
      { name: 'sort', label: t('sort.label'), options: SORTS.map((sort) => [sort, t(`admin.sort.${sort || 'newest'}`)]) },
    ]),
    list);
  const query = Object.fromEntries(['q', 'category', 'sort'].map((name) => [name, wanted(name)]).filter(([, value]) => value));
  await paged(list, {
    list: 'listProducts', query, signal, label: t('admin.products'), columns: columns(),
    counted: (total) => count('catalogue.found', total),
    nothing: Object.keys(query).length > 0 ? [t('admin.products.nothing'), t('admin.products.nothing.advice')] : [t('admin.products.none'), t('admin.products.none.advice')],
  });
}

const columns = () => [
  {
    title: t('admin.field.name'), kind: 'main-cell',
    cell: ({ id, name }) => [picture(id), rowLink(`/admin/products/${id}`, name)],
  },
  { title: t('admin.field.sku'), kind: 'quiet sku spare', cell: ({ sku }) => sku },
  { title: t('admin.field.category'), kind: 'long', cell: ({ category }) => category },
  { title: t('admin.field.price'), kind: 'number', cell: ({ price, currency }) => money(price, currency) },
  { title: t('admin.field.stock'), kind: 'number', cell: ({ stock }) => stockText(stock) },
  { title: t('admin.changed'), kind: 'quiet when spare', cell: ({ updated_at: at }) => time(at) },
];

const stockText = (stock) => h('span', { class: stock === 0 ? 'stock-none' : stock <= FEW ? 'stock-few' : undefined }, stock ?? '–');
