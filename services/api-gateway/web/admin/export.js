// The whole catalogue as a file that can be imported again.
import { call } from '../shop/session.js';
import { write } from './csv.js';
import { save } from './files.js';
import { COLUMNS } from './import-lines.js';

/** Reads every product by cursor; `told` gets how many there are already. */
export async function exported(signal, told) {
  const rows = [COLUMNS];
  for (let cursor = ''; ;) {
    const { items, next } = await call('GET', `/products?${new URLSearchParams({ page_size: 100, sort: 'created_at', cursor })}`, { signal, cache: 'no-store' });
    rows.push(...items.map((product) => COLUMNS.map((name) => product[name])));
    told(rows.length - 1);
    if (!next) break;
    cursor = next;
  }
  save(`products-${new Date().toISOString().slice(0, 10)}.csv`, write(rows));
  return rows.length - 1;
}
