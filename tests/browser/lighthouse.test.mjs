// What Lighthouse says of the pages that strangers see first, on its phone with slow 4G, which it simulates. What is a time is
// printed, and nothing fails for it. Version 12 is the last for the Node.js of Debian 13.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import lighthouse from 'lighthouse';
import { chromium } from 'playwright';
import { URL_OF_SHOP } from './shop.mjs';

const HELD = ['accessibility', 'best-practices', 'seo'];
const MOST_BYTES = 60_000;

let browser;
let port;

const freePort = () => new Promise((found) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port: free } = server.address();
    server.close(() => found(free));
  });
});

before(async () => {
  port = await freePort();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', `--remote-debugging-port=${port}`],
  });
});
after(() => browser?.close());

/** Each audit of a category that takes something from its score, with what it found. */
const faults = ({ categories, audits }, category) => categories[category].auditRefs
  .filter(({ id, weight }) => weight > 0 && audits[id].score !== null && audits[id].score < 1)
  .map(({ id }) => `${category}: ${audits[id].title}: ${JSON.stringify(audits[id].details?.items ?? []).slice(0, 600)}`);

async function audit(path) {
  const { lhr } = await lighthouse(`${URL_OF_SHOP}${path}`, { port, logLevel: 'error', onlyCategories: ['performance', ...HELD] });
  const { categories, audits, runtimeError } = lhr;
  assert.equal(runtimeError, undefined);
  const bytes = audits['total-byte-weight'].numericValue;
  console.log(`${path}: performance ${Math.round(categories.performance.score * 100)}, LCP ${audits['largest-contentful-paint'].displayValue}, ${bytes} bytes`);
  assert.deepEqual(HELD.flatMap((category) => faults(lhr, category)), []);
  assert.deepEqual(HELD.map((category) => categories[category].score), [1, 1, 1]);
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes`);
}

test('the first page of the catalogue', () => audit('/'));

test('a product', async () => {
  const { items: [{ id }] } = await (await fetch(`${URL_OF_SHOP}/products?page_size=1`)).json();
  await audit(`/shop/products/${id}`);
});
