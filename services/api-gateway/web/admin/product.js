// A product: made, edited, deleted, with its stock and where that came from.
import { newIdempotencyKey } from '../../client/shop.mjs';
import { field, h, notice, say, submits } from '../shop/elements.js';
import { time } from '../shop/format.js';
import { t } from '../shop/texts.js';
import { go } from '../shop/navigation.js';
import { shop } from '../shop/session.js';
import { keeps, sure } from './confirm.js';
import { conflict } from './conflict.js';
import { changes, fill, made, number, productForm, textsIn, textsOf } from './product-form.js';
import { stock } from './stock.js';

export async function show(main, context) {
  const id = location.pathname.split('/').pop();
  const categories = (await shop.listCategories({ signal: context.signal })).items.map(({ name }) => name);
  if (context.signal.aborted) return;
  return id === 'new' ? make(context.content, categories) : edit(main, id, categories, context);
}

function make(content, categories) {
  const nothing = textsOf({ price: '', currency: 'EUR' });
  const form = productForm(nothing, categories,
    field(t('admin.field.stock.first'), { name: 'stock', type: 'number', min: 0, max: 1_000_000_000, value: 0, required: true }),
    h('p', { class: 'actions' }, h('button', { type: 'submit', class: 'button' }, t('admin.product.make')),
      h('a', { class: 'plain', href: '/admin/products' }, t('login.cancel'))));
  const done = keeps(form);
  let sent = {};
  submits(form, async () => {
    const body = { ...made(textsIn(form)), stock: number(form.elements.stock.value) };
    // The same again, after an answer that was lost, makes it once.
    const text = JSON.stringify(body);
    if (sent.text !== text) sent = { text, key: newIdempotencyKey() };
    const product = await shop.createProduct({ body, idempotencyKey: sent.key });
    done();
    say(t('admin.product.made', product.name));
    go(`/admin/products/${product.id}`, { history: 'replace' });
  });
  content.replaceChildren(h('div', { class: 'halves halves-form' }, h('section', { class: 'panel', 'aria-label': t('admin.product.new') }, form), preview(form)));
}

/** What the storefront shows: pictures of this origin, and its own drawing else. */
function preview(form, product) {
  const image = h('img', { class: 'preview', alt: t('admin.preview'), width: 320, height: 320 });
  const says = h('p', { class: 'small' });
  const update = () => {
    const wanted = form.elements.image_url.value.trim();
    const own = wanted && URL.canParse(wanted) && new URL(wanted).host === location.host;
    const drawn = product && `/shop/pictures/${encodeURIComponent(product.id)}.svg?version=${product.version}`;
    const source = own ? wanted : drawn;
    image.hidden = !source;
    if (source && image.getAttribute('src') !== source) image.setAttribute('src', source);
    says.textContent = own ? t('admin.preview.own') : wanted ? t('admin.preview.elsewhere') : t('admin.preview.drawn');
  };
  image.addEventListener('error', () => {
    image.hidden = true;
    says.textContent = t('admin.preview.broken');
  });
  form.elements.image_url.addEventListener('change', update);
  update();
  return h('aside', { class: 'panel preview-panel', 'aria-label': t('admin.preview') }, image, says);
}

const read = async (id, signal) => {
  const { data, response } = await shop.call('getProduct', { path: { id }, signal, authenticated: true, cache: 'no-store' });
  return { product: data, tag: response.headers.get('etag') };
};

async function edit(main, id, categories, { content, signal }) {
  let known;
  try {
    known = await read(id, signal);
  } catch (error) {
    if (error.status !== 404 && error.status !== 422) throw error;
    return content.replaceChildren(notice(t('admin.product.missing'), undefined, h('a', { class: 'button', href: '/admin/products' }, t('admin.products'))));
  }
  if (signal.aborted) return;
  const form = productForm(textsOf(known.product), categories,
    h('p', { class: 'actions' }, h('button', { type: 'submit', class: 'button' }, t('account.save'))));
  const done = keeps(form);
  const heading = main.querySelector('h1');
  const settling = h('div', {});
  const facts = h('div', {});
  const pictured = h('div', {});
  const edited = h('div', { class: 'halves halves-form' },
    h('section', { class: 'panel', 'aria-label': t('admin.product') }, form),
    h('div', { class: 'stack' }, pictured, h('section', { class: 'panel', 'aria-label': t('admin.facts') }, facts)));
  const tell = () => {
    const { product } = known;
    heading.textContent = product.name;
    pictured.replaceChildren(preview(form, product));
    facts.replaceChildren(h('dl', { class: 'pairs' },
      ...[[t('admin.version'), product.version], [t('admin.made'), time(product.created_at)], [t('admin.changed'), time(product.updated_at)], [t('admin.id'), h('code', {}, product.id)]]
        .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))));
  };
  const finish = (answer) => {
    known = answer;
    fill(form, textsOf(known.product));
    done();
    settling.replaceChildren();
    edited.hidden = false;
    tell();
  };
  const save = async (texts) => {
    const before = textsOf(known.product);
    const body = changes(texts, before);
    if (Object.keys(body).length === 0) {
      finish(known);
      return say(t('account.saved'));
    }
    try {
      const { data: product, response } = await shop.call('updateProduct', { path: { id: known.product.id }, header: { 'If-Match': known.tag }, body });
      finish({ product, tag: response.headers.get('etag') });
      say(t('account.saved'));
    } catch (error) {
      if (error.status !== 412) throw error;
      const now = await read(known.product.id, signal);
      const theirs = textsOf(now.product);
      known = now;
      // The other wants the same.
      if (Object.keys(changes(texts, theirs)).length === 0) {
        finish(now);
        return say(t('account.saved'));
      }
      const { section, heading: title } = conflict({ before, mine: texts, theirs }, { save, drop: () => finish(now) });
      settling.replaceChildren(section);
      // What one has entered is in the choice now; saved past it, the other's would be gone.
      edited.hidden = true;
      title.focus();
    }
  };
  submits(form, () => save(textsIn(form)));
  main.querySelector('[data-actions]').replaceChildren(
    h('a', { class: 'plain', href: `/shop/products/${known.product.id}` }, t('admin.product.see')),
    h('button', { type: 'button', class: 'plain plain-grave', onclick: () => remove(known, done) }, t('admin.product.delete')));
  const stocked = h('div', {});
  content.replaceChildren(settling, edited, stocked);
  tell();
  await stock(stocked, known.product, signal);
}

function remove({ product, tag }, done) {
  sure({ title: t('admin.product.delete.sure', product.name), text: t('admin.product.delete.explained'), action: t('admin.product.delete'), grave: true }, async () => {
    await shop.deleteProduct({ path: { id: product.id }, header: { 'If-Match': tag } });
    done();
    say(t('admin.product.deleted', product.name));
    go('/admin/products');
  });
}
