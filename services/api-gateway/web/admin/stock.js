// The stock of a product: how much there is, and moving it by hand.
import { newIdempotencyKey } from '../../client/shop.mjs';
import { failure, field, h, say, submits } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { shop } from '../shop/session.js';
import { keeps } from './confirm.js';
import { ledger } from './ledger.js';
import { number } from './product-form.js';

export async function stock(content, { id }, signal) {
  const shown = h('output', { class: 'figure' });
  const rows = h('div', {});
  const form = h('form', { class: 'form adjust' },
    field(t('admin.stock.delta'), { name: 'delta', type: 'text', inputmode: 'text', pattern: String.raw`\s*[+\-−]?\d{1,10}\s*`, title: t('admin.stock.delta.explained'), required: true, autocomplete: 'off' }, t('admin.stock.delta.explained')),
    field(t('admin.stock.reason'), { name: 'reason', required: true, maxlength: 200, autocomplete: 'off' }),
    h('p', { class: 'actions' }, h('button', { type: 'submit', class: 'button' }, t('admin.stock.move'))));
  const done = keeps(form);
  let sent = {};
  submits(form, async (data) => {
    const body = { delta: number(data.get('delta').replace('−', '-')), reason: data.get('reason').trim() };
    // The same again, after an answer that was lost, moves it once.
    const text = JSON.stringify(body);
    if (sent.text !== text) sent = { text, key: newIdempotencyKey() };
    const product = await shop.postProductStock({ path: { id }, body, idempotencyKey: sent.key });
    sent = {};
    done();
    form.reset();
    say(t('admin.stock.moved', product.stock));
    await show();
  });
  // What can't be read is said here, and told to nobody: what is being entered stays, and what was moved is moved.
  const show = async () => {
    try {
      // An admin sees the number whatever the shop shows to others.
      const product = await shop.getProduct({ path: { id }, signal, authenticated: true, cache: 'no-store' });
      shown.textContent = product.stock ?? '–';
      await ledger(rows, { id, now: product.stock ?? 0, signal });
    } catch (error) {
      if (signal.aborted) return;
      shown.textContent = '–';
      rows.replaceChildren(failure(t('admin.stock.unread'), error, show));
    }
  };
  content.replaceChildren(h('section', { class: 'stocked', 'aria-labelledby': 'stock-heading' },
    h('h2', { id: 'stock-heading' }, t('admin.stock')),
    h('div', { class: 'halves halves-stock' },
      h('div', { class: 'panel' }, h('p', { class: 'small' }, t('admin.stock.now')), shown, form),
      rows)));
  await show();
}
