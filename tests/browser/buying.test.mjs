// A shopper's way from the door to a confirmed order, and all that must not make two orders of one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  ADMIN, URL_OF_SHOP, PASSWORD, Shopkeeper, arrived, closeAll, expect, newEmail, once, ordersOf, register, scripted, shopper, status, take,
} from './shop.mjs';

let keeper;
before(async () => { keeper = await Shopkeeper.logIn(URL_OF_SHOP, ADMIN); });
after(closeAll);

const ready = async (page, product, quantity) => {
  const email = await register(page);
  await take(page, product.id, quantity);
  await page.goto('/shop/checkout');
  await page.getByRole('button', { name: 'Buy now' }).waitFor();
  return email;
};

test('from the door to a confirmed order, with the cart filled before there is an account', async () => {
  const page = await shopper();
  await page.goto('/');
  await scripted(page);
  await page.getByLabel('Search products').fill('espresso');
  await arrived(page, '**/?q=espresso');
  await page.getByRole('link', { name: 'Espresso cup, speckled' }).click();
  await arrived(page, '**/shop/products/*');
  await page.getByLabel('Quantity').fill('2');
  await page.getByRole('button', { name: 'Add to cart', exact: true }).click();
  await page.getByRole('link', { name: 'Cart, 2 items' }).click();
  await arrived(page, '**/shop/cart');
  await page.locator('.summary output').filter({ hasText: '€29.00' }).waitFor();
  await page.getByRole('link', { name: 'Go to checkout' }).click();
  await page.getByRole('main').getByRole('link', { name: 'Register' }).click();
  const email = newEmail();
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('main').getByRole('button', { name: 'Register' }).click();
  await page.getByRole('button', { name: 'Buy now' }).click();
  await arrived(page, '**/shop/orders/*');
  await status(page).filter({ hasText: 'Confirmed' }).waitFor();
  await page.getByRole('link', { name: 'Cart', exact: true }).waitFor();
  assert.equal((await ordersOf(email)).length, 1);

  await page.getByRole('link', { name: 'Orders' }).click();
  await page.locator('.order').filter({ hasText: 'Espresso cup, speckled' }).click();
  await page.getByRole('button', { name: 'Cancel the order' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the order' }).click();
  await status(page).filter({ hasText: 'Cancelled' }).waitFor();
  assert.deepEqual(page.faults, []);
});

test('a double click buys once, and so do going back, forward and loading again', async () => {
  const page = await shopper();
  const product = await keeper.add({ name: 'Bought once' });
  const email = await ready(page, product);
  await page.getByRole('button', { name: 'Buy now' }).dblclick();
  await arrived(page, '**/shop/orders/*');
  await page.goBack();
  await page.goForward();
  await status(page).waitFor();
  await page.goto('/shop/checkout');
  await page.getByText('This was ordered already.').waitFor();
  await page.reload();
  await page.getByRole('link', { name: 'See the order' }).click();
  await status(page).waitFor();
  assert.equal((await ordersOf(email)).length, 1);
});

test('a connection that is lost on the way buys once', async () => {
  const page = await shopper();
  const product = await keeper.add({ name: 'Lost on the way' });
  const email = await ready(page, product);
  let cut = 0;
  await page.route('**/orders', async (route) => {
    if (route.request().method() !== 'POST' || cut >= 2) return route.continue();
    // The first is placed and its answer is lost; the second never gets there.
    if (cut++ === 0) await route.fetch();
    await route.abort('connectionreset');
  });
  await page.getByRole('button', { name: 'Buy now' }).click();
  await arrived(page, '**/shop/orders/*');
  assert.equal(cut, 2);
  assert.equal((await ordersOf(email)).length, 1);
});

test('a page that is closed before the answer comes finds out what became of the order', async () => {
  const page = await shopper();
  const product = await keeper.add({ name: 'Closed too early' });
  const email = await ready(page, product);
  // It is placed, and its answer never comes.
  const placed = new Promise((done) => {
    once(page, '**/orders', 'POST', async (route) => done(await route.fetch()));
  });
  await page.getByRole('button', { name: 'Buy now' }).click();
  await placed;
  await page.goto('/shop/checkout');
  await arrived(page, '**/shop/orders/*');
  assert.equal((await ordersOf(email)).length, 1);
});

test('a connection that stays lost is said, and the same may be tried again', async () => {
  const page = await shopper();
  const product = await keeper.add({ name: 'Offline' });
  const email = await ready(page, product);
  await page.context().setOffline(true);
  await page.getByRole('button', { name: 'Buy now' }).click();
  await page.getByText('It is safe to try again').waitFor();
  await page.context().setOffline(false);
  await page.getByRole('button', { name: 'Try again' }).click();
  await arrived(page, '**/shop/orders/*');
  assert.equal((await ordersOf(email)).length, 1);
});

test('two tabs buy once', async () => {
  const page = await shopper();
  const product = await keeper.add({ name: 'In two tabs' });
  const email = await ready(page, product);
  const other = await page.context().newPage();
  await other.goto('/shop/checkout');
  const buttons = [page, other].map((tab) => tab.getByRole('button', { name: 'Buy now' }));
  await buttons[1].waitFor();
  await Promise.all(buttons.map((button) => button.click()));
  for (const tab of [page, other]) await expect(status(tab).or(tab.getByText('This was ordered already.'))).toBeVisible();
  assert.equal((await ordersOf(email)).length, 1);
});

test('of two who want the last one, one gets it, and the other is told', async () => {
  const product = await keeper.add({ name: 'The last of its kind', stock: 1 });
  const pages = await Promise.all([shopper(), shopper()]);
  await Promise.all(pages.map((page) => ready(page, product)));
  await Promise.all(pages.map((page) => page.getByRole('button', { name: 'Buy now' }).click()));
  const ends = await Promise.all(pages.map(async (page) => {
    await status(page).filter({ hasText: /Confirmed|Not possible/ }).waitFor();
    return (await status(page).textContent()).trim();
  }));
  assert.deepEqual([...ends].sort(), ['Confirmed', 'Not possible']);
  const loser = pages[ends.indexOf('Not possible')];
  await loser.getByText('The last of its kind was sold out before your order was filled.').waitFor();
});

test('a cart is checked when it is opened: what costs more, what is gone, and of what there is too little', async () => {
  const page = await shopper();
  const [dearer, gone, few] = await Promise.all(['Gets dearer', 'Goes away', 'Gets few'].map((name) =>
    keeper.add({ name, price: 10, stock: 6 })));
  for (const product of [dearer, gone, few]) await take(page, product.id, 6);
  await keeper.call('PATCH', `/products/${dearer.id}`, { price: 12.5 });
  await keeper.call('DELETE', `/products/${gone.id}`);
  await keeper.call('POST', `/products/${few.id}/stock`, { delta: -6, reason: 'a test' });
  await page.goto('/shop/cart');
  const changes = page.locator('.changes');
  await changes.getByText('The price of Gets dearer has changed. It was €10.00.').waitFor();
  await changes.getByText('Goes away is not for sale any more').waitFor();
  await changes.getByText('Gets few is sold out').waitFor();
  await expect(page.getByText('Go to checkout')).not.toHaveAttribute('href');
  await page.getByRole('button', { name: 'Remove Gets few' }).click();
  await page.locator('.summary output').filter({ hasText: '€75.00' }).waitFor();
  await expect(page.getByText('Go to checkout')).toHaveAttribute('href', '/shop/checkout');
  await page.getByRole('button', { name: 'Put it back' }).click();
  await page.getByRole('button', { name: 'Remove Gets few' }).waitFor();
});
