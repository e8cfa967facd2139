// A product's ledger: every movement of its stock, as a graph and as a table.
import { h } from '../shop/elements.js';
import { time } from '../shop/format.js';
import { has, t } from '../shop/texts.js';
import { graph } from './graph.js';
import { paged } from './table.js';

export const signed = (delta) => (delta > 0 ? `+${delta}` : String(delta).replace('-', '−'));

const kindText = (kind) => (has(`admin.movement.${kind}`) ? t(`admin.movement.${kind}`) : kind);

/** `now` is the stock, which every movement leads to. */
export async function ledger(content, { id, now, signal }) {
  const drawn = h('div', {});
  const rows = h('div', {});
  content.replaceChildren(h('div', { class: 'panel' }, h('h3', {}, t('admin.ledger')), drawn, rows));
  let after = now;
  // The newest first: each has the stock that it left behind.
  const points = [];
  const stockAfter = (movement) => {
    const stock = after;
    points.push({ at: movement.created_at, stock, text: `${time(movement.created_at)}: ${signed(movement.delta)} → ${stock}` });
    after -= movement.delta;
    return stock;
  };
  await paged(rows, {
    list: 'listProductStockMovements', path: { id }, size: 50, signal, label: t('admin.ledger'), nothing: [t('admin.ledger.none')],
    columns: [
      { title: t('admin.when'), kind: 'quiet when', cell: ({ created_at: at }) => time(at) },
      { title: t('admin.what'), cell: ({ kind, order_id: order }) => (order ? h('a', { href: `/admin/orders/${order}` }, kindText(kind)) : kindText(kind)) },
      { title: t('admin.ledger.delta'), kind: 'number', cell: ({ delta }) => h('span', { class: delta < 0 ? 'gone' : 'come' }, signed(delta)) },
      { title: t('admin.ledger.after'), kind: 'number', cell: (movement) => String(stockAfter(movement)) },
      { title: t('admin.stock.reason'), kind: 'wide-cell', cell: ({ reason }) => reason || undefined },
    ],
    added: (items, all) => {
      const oldest = [...points].reverse();
      drawn.replaceChildren(graph(all ? oldest : [{ at: oldest[0].at, stock: after, text: '' }, ...oldest], now));
    },
  });
}
