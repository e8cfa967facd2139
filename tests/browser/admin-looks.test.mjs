// Every page of the admin's, looked at: axe-core finds nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMIN, URL_OF_SHOP, Shopkeeper, closeAll, shopper } from './shop.mjs';
import { account, admin, logIn, settled } from './office.mjs';
import { look } from './looks.mjs';

const STILL = { reducedMotion: 'reduce' };
const CSV = 'name,sku,price,currency,stock,category\nEnamel pot,POT-1,39,EUR,12,Tableware\nOdd pot,POT-2,a lot,EUR,1,Tableware\n,POT-3,5,EUR,-1,Tableware\n';
let keeper;
before(async () => { keeper = await Shopkeeper.logIn(URL_OF_SHOP, ADMIN); });
after(closeAll);

test('axe-core finds nothing on any page of the admin’s, in either theme, and each fits into its width', async () => {
  const ada = await account(keeper, { name: 'Ada Lovelace' });
  const customer = await Shopkeeper.logIn(URL_OF_SHOP, { email: ada.email, password: ada.password });
  const product = await keeper.add({ name: 'Teapot, cast iron', sku: `TEAPOT-${Date.now()}`, price: 64, stock: 20, category: 'Coffee & tea', description: 'For 800 ml, enamelled inside.' });
  const orders = [];
  for (const quantity of [3, 5, 2]) orders.push(await settled(customer, { items: [{ product_id: product.id, quantity }] }));
  await keeper.call('POST', `/products/${product.id}/stock`, { delta: 14, reason: 'A delivery from Morioka' });
  await keeper.call('POST', `/products/${product.id}/stock`, { delta: -1, reason: 'One arrived broken' });
  await keeper.call('PATCH', `/orders/${orders[0].id}`, { status: 'completed' });
  await keeper.call('PATCH', `/orders/${orders[1].id}`, { status: 'cancelled' });
  await settled(customer, { items: [{ product_id: product.id, quantity: 1000 }] });
  await keeper.call('PATCH', `/products/${product.id}`, { price: 69 });

  const page = await admin(STILL);
  const found = [];
  const visit = async (name, path, prepare) => {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto(path);
    await page.locator('.skeleton').first().waitFor({ state: 'detached' });
    await prepare?.();
    found.push(...await look(`admin-${name}`, page));
  };
  await visit('overview', '/admin');
  await visit('products', '/admin/products');
  await visit('product-new', '/admin/products/new');
  await visit('product', `/admin/products/${product.id}`, () => page.locator('.graph').waitFor());
  await visit('conflict', `/admin/products/${product.id}`, async () => {
    await page.locator('.graph').waitFor();
    await page.getByLabel('Price').fill('72');
    await page.getByLabel('Description').fill('For 800 ml.\nEnamelled inside, and heavy.');
    await keeper.call('PATCH', `/products/${product.id}`, { price: 66, name: 'Teapot of cast iron' });
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('heading', { name: 'Somebody else has changed' }).waitFor();
  });
  page.once('dialog', (dialog) => dialog.accept());
  await visit('orders', '/admin/orders');
  await visit('order', `/admin/orders/${orders[0].id}`, () => page.locator('.happened').waitFor());
  await visit('order-sure', `/admin/orders/${orders[2].id}`, () => page.getByRole('button', { name: 'Complete the order' }).click());
  await visit('users', '/admin/users');
  await visit('user', `/admin/users/${ada.id}`);
  await visit('flow', '/admin/flow', () => page.getByRole('heading', { name: 'Outboxes' }).waitFor());
  await visit('audit', '/admin/audit');
  await visit('import', '/admin/import', async () => {
    await page.getByLabel('File', { exact: true }).setInputFiles({ name: 'products.csv', mimeType: 'text/csv', buffer: Buffer.from(CSV) });
    await page.getByRole('button', { name: 'Import 1 product' }).waitFor();
  });
  await visit('german', `/admin/products/${product.id}?lang=de`, () => page.locator('.graph').waitFor());
  assert.deepEqual(page.faults, []);

  const stranger = await shopper(STILL);
  await stranger.goto('/admin/orders');
  await stranger.getByLabel('Email').waitFor();
  found.push(...await look('admin-login', stranger));
  await logIn(stranger, ada);
  await stranger.getByText('This account does not run the shop.').waitFor();
  found.push(...await look('admin-forbidden', stranger));
  await stranger.goto('/shop/account');
  await stranger.getByRole('button', { name: 'Set it up' }).click();
  await stranger.locator('.secret').waitFor();
  found.push(...await look('account-second-factor', stranger));
  assert.deepEqual(found, []);
});
