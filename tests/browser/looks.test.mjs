// Every page of the storefront, looked at: axe-core finds nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMIN, URL_OF_SHOP, Shopkeeper, closeAll, register, shopper, status, take } from './shop.mjs';
import { look } from './looks.mjs';
import { settled } from './office.mjs';

const pages = [];
let page;

before(async () => {
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
  await settled(keeper, { items: [{ product_id: rare.id, quantity: 1 }] });
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
    found.push(...await look(name, viewer));
  }
  assert.deepEqual(found, []);
});
