// Lines of a file as products: what each says, what is wrong with it, and making them one by one.
import { t } from '../shop/texts.js';
import { ShopUnreachable } from '../../client/shop.mjs';
import { advice } from '../shop/advice.js';
import { shop } from '../shop/session.js';
import { parse } from './csv.js';
import { keyOf } from './files.js';
import { number } from './product-form.js';

export const COLUMNS = ['name', 'sku', 'price', 'currency', 'stock', 'category', 'description', 'image_url'];
const TEXTS = { name: 200, sku: 100, category: 100, description: 10_000, image_url: 2000 };
/** More are for several files. */
const MOST = 10_000;
const AT_ONCE = 3;
const IN_FLIGHT = '/problems/idempotency-key-in-flight';
/** As long as the client waits in all: most of what hinders has passed by then, and the page shows how far it is. */
const ATTEMPTS = 8;

/** What is wrong with a line before it is sent; the shop checks it again. */
function faults(cells) {
  const wrong = [];
  if (!cells.name) wrong.push(t('admin.import.missing', t('admin.field.name')));
  for (const [name, most] of Object.entries(TEXTS)) {
    if ((cells[name] ?? '').length > most) wrong.push(t('admin.import.long', t(`admin.field.${name}`), most));
  }
  if (!/^\d{1,12}([.,]\d{1,4})?$/.test(cells.price ?? '')) wrong.push(t('admin.import.price', cells.price ?? ''));
  if (cells.currency && !/^[A-Z]{3}$/.test(cells.currency)) wrong.push(t('admin.import.currency', cells.currency));
  if (cells.stock && !(/^\d{1,10}$/.test(cells.stock) && Number(cells.stock) <= 1_000_000_000)) wrong.push(t('admin.import.stock', cells.stock));
  if (cells.image_url && !URL.canParse(cells.image_url)) wrong.push(t('admin.import.url', cells.image_url));
  return wrong;
}

function productOf(cells) {
  const given = COLUMNS.filter((name) => cells[name]);
  return Object.fromEntries(given.map((name) => [name, name === 'price' || name === 'stock' ? number(cells[name]) : cells[name]]));
}

/**
 * The lines of a file as `{ line, cells, product, faults, key }`, or `{ problem }` where it is no such file. The same line has
 * the same key always, so that another try makes nothing twice; of lines that are alike each has its own.
 */
export function read(text) {
  const { records, open: unfinished } = parse(text);
  const names = (records.shift()?.cells ?? []).map((name) => name.trim().toLowerCase());
  const missing = ['name', 'price'].filter((name) => !names.includes(name));
  if (missing.length > 0) return { problem: t('admin.import.columns', missing.join(', ')) };
  const twice = names.find((name, index) => name && names.indexOf(name) !== index);
  if (twice) return { problem: t('admin.import.column_twice', twice) };
  if (unfinished) return { problem: t('admin.import.open') };
  if (records.length === 0) return { problem: t('admin.import.empty') };
  if (records.length > MOST) return { problem: t('admin.import.many', MOST) };
  const skus = new Map();
  const alike = new Map();
  const lines = records.map(({ line, cells: values }) => {
    const cells = Object.fromEntries(names.map((name, index) => [name, (values[index] ?? '').trim()]));
    cells.currency = cells.currency?.toUpperCase();
    const wrong = faults(cells);
    if (values.length > names.length) wrong.push(t('admin.import.cells', values.length, names.length));
    if (cells.sku && skus.has(cells.sku)) wrong.push(t('admin.import.sku_twice', cells.sku, skus.get(cells.sku)));
    else if (cells.sku) skus.set(cells.sku, line);
    const product = productOf(cells);
    const said = JSON.stringify(product);
    const before = alike.get(said) ?? 0;
    alike.set(said, before + 1);
    return { line, cells, product, faults: wrong, key: `import-${keyOf(`${before}${said}`)}` };
  });
  return { lines, ignored: names.filter((name) => name && !COLUMNS.includes(name)) };
}

/** `made`, `before` where an earlier try has made it, or what the shop says against it. */
async function send({ product, key }, signal) {
  try {
    const { response } = await shop.call('createProduct', { body: product, idempotencyKey: key, attempts: ATTEMPTS, signal });
    return { outcome: response.headers.has('idempotency-replayed') ? 'before' : 'made' };
  } catch (error) {
    if (signal.aborted || error.name === 'AbortError' || error.status === 403) throw error;
    const passes = error instanceof ShopUnreachable || [429, 503].includes(error.status) || error.type === IN_FLIGHT;
    const details = (error.errors ?? []).map(({ field, detail }) => `${field}: ${detail}`);
    return { outcome: passes || !(error.status < 500) ? 'unknown' : 'refused', faults: details.length > 0 ? details : [advice(error) ?? t('error.failed')] };
  }
}

/** Makes the products of the lines, and calls `told` with each and what became of it. */
export async function make(lines, signal, told) {
  const waiting = [...lines];
  const worker = async () => {
    for (let line = waiting.shift(); line && !signal.aborted; line = waiting.shift()) told(line, await send(line, signal));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
