// What every page looks like, in three widths and two themes: pictures for people to look at (SCREENSHOTS is their
// folder), and what axe-core finds, which is nothing.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { mkdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ADMIN, URL_OF_SHOP, Shopkeeper, closeAll, register, shopper, status, take } from './shop.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FOLDER = process.env.SCREENSHOTS ?? 'screenshots';
const WIDTHS = [360, 768, 1440];
const pages = [];
let page;

before(async () => {
  mkdirSync(FOLDER, { recursive: true });
  const keeper = await Shopkeeper.logIn(URL_OF_SHOP, ADMIN);
  const products = (await keeper.call('GET', '/products?q=espresso&page_size=1')).items
    .concat((await keeper.call('GET', '/products?q=blanket&page_size=1')).items, (await keeper.call('GET', '/products?q=lund&page_size=1')).items);
  const rare = await keeper.add({ name: 'Rare bowl', price: 61, stock: 1, category: 'Tableware' });
  page = await shopper({ reducedMotion: 'reduce' });
  await register(page, { name: 'Ada' });
  const order = async () => {
    await page.goto('/shop/checkout');
    await page.getByRole('button', { name: 'Buy now' }).click();
    await status(page).filter({ hasText: /Confirmed|Not possible/ }).waitFor();
    return new URL(page.url()).pathname;
  };
  for (const { id } of products) await take(page, id);
  const confirmed = await order();
  await take(page, rare.id);
  await keeper.call('POST', '/orders', { items: [{ product_id: rare.id, quantity: 1 }] });
  await page.waitForTimeout(500);
  const rejected = await order();
  for (const { id } of products) await take(page, id, 2);
  const anybody = await shopper({ reducedMotion: 'reduce' });
  pages.push(
    ['catalogue', '/', page], ['search', '/?q=cup', page], ['category', '/?category=Lighting', page], ['nothing', '/?q=zzzz', page],
    ['product', `/shop/products/${products[0].id}`, page], ['cart', '/shop/cart', page], ['checkout', '/shop/checkout', page],
    ['orders', '/shop/orders', page], ['order-confirmed', confirmed, page], ['order-rejected', rejected, page],
    ['account', '/shop/account', page], ['missing', '/shop/nothing', page],
    ['login', '/shop/login', anybody], ['register', '/shop/register', anybody], ['cart-empty', '/shop/cart', anybody],
    ['orders-anybody', '/shop/orders', anybody], ['german', '/?lang=de', anybody],
  );
});
after(closeAll);

test('axe-core finds nothing on any page, in either theme, and each fits into its width', async () => {
  const found = [];
  for (const [name, path, viewer] of pages) {
    await viewer.goto(path);
    await viewer.locator('main').waitFor();
    await viewer.locator('.skeleton').waitFor({ state: 'detached' });
    await viewer.waitForLoadState('networkidle').catch(() => {});
    for (const colorScheme of ['light', 'dark']) {
      await viewer.emulateMedia({ colorScheme });
      for (const width of WIDTHS) {
        await viewer.setViewportSize({ width, height: width < 700 ? 780 : 900 });
        await viewer.screenshot({ path: join(FOLDER, `${name}-${width}-${colorScheme}.png`), fullPage: true });
        const wider = await viewer.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wider > 0) found.push(`${name} at ${width}: ${wider} px too wide`);
      }
      await viewer.evaluate(AXE);
      const { violations } = await viewer.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      found.push(...violations.map(({ id, nodes }) => `${name} ${colorScheme}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).slice(0, 3).join(' | ')}`));
    }
  }
  assert.deepEqual(found, []);
});
