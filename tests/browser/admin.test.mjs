// Running the shop from a browser: the admin's way through every page, and what must not go wrong on it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ADMIN, PASSWORD, URL_OF_SHOP, Shopkeeper, arrived, closeAll, expect, once, shopper } from './shop.mjs';
import { account, admin, logIn, settled, told } from './office.mjs';
import { totp } from './totp.mjs';

let keeper;
before(async () => { keeper = await Shopkeeper.logIn(URL_OF_SHOP, ADMIN); });
after(closeAll);

const main = (page) => page.getByRole('main');
const button = (page, name) => main(page).getByRole('button', { name, exact: true });
const confirm = (page, name) => page.getByRole('dialog').getByRole('button', { name, exact: true }).click();
const customerOf = ({ email, password }) => Shopkeeper.logIn(URL_OF_SHOP, { email, password });

test('a product is made, found, changed, counted and deleted', async () => {
  const page = await admin();
  const name = `Copper kettle ${randomUUID().slice(0, 8)}`;
  await page.getByRole('link', { name: 'Products', exact: true }).click();
  await page.getByRole('link', { name: 'New product' }).click();
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Price').fill('48,5');
  await page.getByLabel('Stock to begin with').fill('7');
  await button(page, 'Add it').click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
  const id = new URL(page.url()).pathname.split('/').pop();
  let product = await keeper.call('GET', `/products/${id}`);
  assert.deepEqual([product.price, product.currency, product.stock], [48.5, 'EUR', 7]);

  await page.getByLabel('Category').fill('Kettles');
  await page.getByLabel('Description').fill('It sings.');
  await button(page, 'Save').click();
  await told(page, 'Saved.');
  await page.getByLabel('Units').fill('-3');
  await page.getByLabel('Reason').fill('Dented');
  await button(page, 'Move the stock').click();
  await told(page, 'There are 4 now.');
  await page.getByRole('row').filter({ hasText: 'Dented' }).filter({ hasText: '−3' }).waitFor();
  await expect(page.getByRole('img', { name: 'Stock over 2 movements; now it is 4' })).toHaveCount(1);
  // While one is on its way, the form takes no other.
  await expect(page.locator('form[aria-busy]')).toHaveCount(0);
  await page.getByLabel('Units').fill('-5');
  await page.getByLabel('Reason').fill('More than there are');
  await button(page, 'Move the stock').click();
  await page.getByText('There is not so much in stock.').waitFor();
  await expect(page.getByLabel('Reason')).toHaveValue('More than there are');
  // Moved, and then it can't be read how much there is: it is not moved again, and nothing that was entered is gone.
  await page.getByLabel('Description').fill('It sings, softly.');
  await page.getByLabel('Units').fill('+2');
  await page.getByLabel('Reason').fill('Found');
  await once(page, `**/products/${id}`, 'GET', (route) => route.abort());
  await button(page, 'Move the stock').click();
  const unread = page.getByRole('alert').filter({ hasText: 'The stock could not be loaded.' });
  await unread.waitFor();
  await expect(page.getByLabel('Units')).toHaveValue('');
  await expect(page.getByLabel('Description')).toHaveValue('It sings, softly.');
  await unread.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('row').filter({ hasText: 'Found' }).filter({ hasText: '+2' }).waitFor();
  await expect(page.getByText('The stock could not be loaded.')).toHaveCount(0);
  product = await keeper.call('GET', `/products/${id}`);
  assert.equal(product.stock, 6);
  await page.reload();

  await page.goto('/admin/products');
  await page.getByLabel('Search products').fill(name.split(' ').pop());
  await button(page, 'Show').click();
  await page.getByText('1 product', { exact: true }).waitFor();
  await page.getByRole('link', { name }).click();
  await button(page, 'Delete').click();
  await confirm(page, 'Delete');
  await told(page, `${name} is deleted.`);
  await assert.rejects(keeper.call('GET', `/products/${id}`), /404/);
  assert.deepEqual(page.faults, []);
});

test('what two have changed at once is shown side by side, and nothing of either is lost', async () => {
  const page = await admin();
  const { id } = await keeper.add({ name: 'Two at once', price: 10, description: 'As it was' });
  await page.goto(`/admin/products/${id}`);
  await page.getByLabel('Price').fill('12');
  await page.getByLabel('Description').fill('As I want it');
  await keeper.call('PATCH', `/products/${id}`, { price: 11, name: 'Two at the same time' });
  await button(page, 'Save').click();
  await page.getByRole('heading', { name: 'Somebody else has changed' }).waitFor();
  const chosen = (field, side) => page.getByRole('radio', { name: `${field}: ${side}` });
  // What only one has changed is chosen already.
  await expect(chosen('Name', 'In the shop now')).toBeChecked();
  await expect(chosen('Description', 'Yours')).toBeChecked();
  await chosen('Price', 'In the shop now').check();
  await keeper.call('PATCH', `/products/${id}`, { category: 'Changed again' });
  await button(page, 'Save what is chosen').click();
  await page.getByRole('radio', { name: 'Category: In the shop now' }).waitFor();
  await button(page, 'Save what is chosen').click();
  await told(page, 'Saved.');
  const { name, price, description, category } = await keeper.call('GET', `/products/${id}`);
  assert.deepEqual([name, price, description, category], ['Two at the same time', 11, 'As I want it', 'Changed again']);
});

test('what is typed stays when a request fails, when the session ends and when one leaves by mistake', async () => {
  const deputy = await account(keeper, { role: 'admin' });
  const page = await admin({}, deputy);
  const { id } = await keeper.add({ name: 'Typed with care' });
  await page.goto(`/admin/products/${id}`);
  await page.locator('.graph').waitFor();
  await page.getByLabel('Description').fill('A long text');
  await page.context().setOffline(true);
  await button(page, 'Save').click();
  await page.getByText('No connection to the shop.').waitFor();
  await page.context().setOffline(false);
  await expect(page.getByLabel('Description')).toHaveValue('A long text');
  page.once('dialog', (dialog) => dialog.dismiss());
  const [asked] = await Promise.all([page.waitForEvent('dialog'), page.getByRole('link', { name: 'Orders', exact: true }).click()]);
  assert.equal(asked.type(), 'confirm');
  await expect(page).toHaveURL(`/admin/products/${id}`);
  await (await customerOf(deputy)).call('DELETE', '/users/me/sessions');
  await page.waitForTimeout(1100);
  await button(page, 'Save').click();
  await page.getByRole('dialog').getByLabel('Password').fill(PASSWORD);
  await confirm(page, 'Log in');
  await told(page, 'Saved.');
  assert.equal((await keeper.call('GET', `/products/${id}`)).description, 'A long text');
});

test('an answer that is lost makes nothing twice', async () => {
  const page = await admin();
  const { id } = await keeper.add({ name: 'Moved once', stock: 10 });
  const lost = async (pattern, act) => {
    await once(page, pattern, 'POST', async (route) => {
      await route.fetch();
      await route.abort('connectionreset');
    });
    await act();
    await page.getByText('No connection to the shop.').waitFor();
    await page.unroute(pattern);
    await act();
  };
  await page.goto(`/admin/products/${id}`);
  await page.getByLabel('Units').fill('5');
  await page.getByLabel('Reason').fill('delivery');
  await lost('**/stock', () => button(page, 'Move the stock').click());
  await told(page, 'There are 15 now.');
  const name = `Made once ${randomUUID().slice(0, 8)}`;
  await page.goto('/admin/products/new');
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Price').fill('5');
  await lost('**/products', () => button(page, 'Add it').click());
  await page.getByRole('heading', { name, level: 1 }).waitFor();
  const { total } = await keeper.call('GET', `/products?${new URLSearchParams({ q: name })}`);
  assert.equal(total, 1);
});

test('orders are found by customer, status and time, page after page, and completed and cancelled', async () => {
  const page = await admin();
  const ada = await account(keeper);
  const customer = await customerOf(ada);
  const { id: product } = await keeper.add({ name: 'Ordered often' });
  const orders = [];
  for (let number = 0; number < 23; number++) orders.push(await settled(customer, { items: [{ product_id: product, quantity: 1 }] }));
  await page.goto('/admin/orders');
  await page.getByLabel('Customer').fill(ada.email);
  await button(page, 'Show').click();
  await arrived(page, '**/admin/orders?customer=*');
  await page.getByText('23 orders', { exact: true }).waitFor();
  await button(page, 'Show more').click();
  await expect(page.locator('tbody tr')).toHaveCount(23);
  const day = (later) => new Date(Date.now() + later * 24 * 60 * 60 * 1000).toISOString().slice(0, 10);
  await page.getByLabel('From', { exact: true }).fill(day(2));
  await button(page, 'Show').click();
  await page.getByText('No order is like that.').waitFor();
  await page.getByLabel('From', { exact: true }).fill(day(-2));
  await page.getByLabel('To', { exact: true }).fill(day(2));
  await button(page, 'Show').click();
  await page.getByText('23 orders', { exact: true }).waitFor();

  await page.goto(`/admin/orders/${orders[0].id}`);
  await button(page, 'Complete the order').click();
  await confirm(page, 'Complete the order');
  await page.locator('[data-status=completed]').waitFor();
  await page.locator('.happened').getByText('Order completed').waitFor();
  await expect(button(page, 'Cancel the order')).toHaveCount(0);
  await page.goto(`/admin/orders/${orders[1].id}`);
  await button(page, 'Cancel the order').click();
  // Somebody else is quicker.
  await keeper.call('PATCH', `/orders/${orders[1].id}`, { status: 'completed' });
  await confirm(page, 'Cancel the order');
  await page.getByRole('dialog').getByRole('alert').filter({ hasText: /changed it meanwhile|moved on/ }).waitFor();
  await confirm(page, 'Leave it');
  await page.locator('[data-status=completed]').waitFor();
  await page.goto(`/admin/orders?customer=${ada.id}&status=completed`);
  await page.getByText('2 orders', { exact: true }).waitFor();
  await page.getByLabel('Customer').fill('nobody@shop.example');
  await button(page, 'Show').click();
  await page.getByText('There is no account of nobody@shop.example.').waitFor();
  assert.deepEqual(page.faults, []);
});

test('accounts are found by email, made admins, disabled, and let in again without the factor they have lost', async () => {
  const page = await admin();
  const ada = await account(keeper);
  const customer = await customerOf(ada);
  const { secret } = await customer.call('POST', '/users/me/mfa');
  await customer.call('POST', '/users/me/mfa/confirm', { code: totp(secret) });
  await page.goto('/admin/users');
  await page.getByLabel('Email').fill(ada.email.toUpperCase());
  await button(page, 'Show').click();
  await arrived(page, '**/admin/users?email=*');
  await page.getByRole('link', { name: ada.email }).click();
  // As after ten minutes: the API wants a login of the last ones, and the page asks for it in place.
  await once(page, `**/users/${ada.id}`, 'PATCH', (route) => route.fulfill({
    status: 401, contentType: 'application/problem+json', body: JSON.stringify({ type: '/problems/recent-login-required', status: 401, title: '', detail: '' }),
  }));
  await button(page, 'Make an admin').click();
  await confirm(page, 'Make an admin');
  const asks = page.getByRole('dialog').filter({ hasText: 'Is it you?' });
  await expect(asks.getByLabel('Email')).toHaveValue(ADMIN.email);
  await asks.getByLabel('Password').fill(ADMIN.password);
  await asks.getByRole('button', { name: 'Go on' }).click();
  await told(page, 'Saved.');
  assert.equal((await keeper.call('GET', `/users/${ada.id}`)).role, 'admin');
  await button(page, 'Make a customer').click();
  await confirm(page, 'Make a customer');
  await button(page, 'Make an admin').waitFor();
  await button(page, 'Remove the second factor').click();
  await confirm(page, 'Remove the second factor');
  await told(page, 'The second factor is removed.');
  await customerOf(ada);
  await button(page, 'Disable the account').click();
  await confirm(page, 'Disable the account');
  await button(page, 'Enable the account').waitFor();
  await assert.rejects(customerOf(ada), /403/);
  await page.getByRole('row').filter({ hasText: 'Account disabled' }).waitFor();
  await button(page, 'Enable the account').click();
  await confirm(page, 'Enable the account');
  await button(page, 'Disable the account').waitFor();
  await customerOf(ada);

  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await page.getByLabel('What', { exact: true }).selectOption('user.role_changed');
  await page.getByLabel('Its id').fill(ada.id);
  await button(page, 'Show').click();
  await expect(page.locator('tbody tr')).toHaveCount(2);
  await page.getByLabel('Who').fill(ada.email);
  await button(page, 'Show').click();
  await page.getByText('No record is like that.').waitFor();
  assert.deepEqual(page.faults, []);
});

test('a file is looked at, imported once however often one tries, and every bad line is told', async () => {
  const page = await admin();
  const mark = randomUUID().slice(0, 8);
  const taken = await keeper.add({ name: `Taken ${mark}`, sku: `TAKEN-${mark}` });
  const lines = [
    'Name;SKU;Price;Currency;Stock;Category;Colour',
    `"Bowl ""${mark}""; large";B-${mark};12,50;EUR;3;Bowls;red`,
    `Jug ${mark};;8;;;;`,
    `Jug ${mark};;8;;;;`,
    `No price ${mark};;cheap;EUR;1;;`,
    `Taken ${mark};${taken.sku};5;EUR;1;;`,
    `Odd ${mark};O-${mark};1.234;EUR;1;;`,
    `Twice ${mark};B-${mark};5;EUR;1;;`,
  ];
  const file = { name: 'products.csv', mimeType: 'text/csv', buffer: Buffer.from(`\uFEFF${lines.join('\r\n')}\r\n`) };
  const choose = async () => {
    await page.goto('/admin/import');
    await page.getByLabel('File', { exact: true }).setInputFiles(file);
    await page.getByText('Lines that can be imported: 5. Lines with something wrong: 2.').waitFor();
  };
  await choose();
  await page.getByText('Columns that are left out: colour.').waitFor();
  await page.getByRole('row').filter({ hasText: '€12.50' }).waitFor();
  // The first answer is lost on the way: it is tried again, by the same key.
  await once(page, '**/products', 'POST', async (route) => {
    await route.fetch();
    await route.abort('connectionreset');
  });
  await button(page, 'Import 5 products').click();
  await page.getByRole('heading', { name: 'What became of it' }).waitFor();
  await page.getByText('Refused by the shop: 2.').waitFor();
  for (const line of ['“cheap” is no price.', `The article number B-${mark} is in line 2 already.`, 'Another product has this article number.']) {
    await page.getByText(line).waitFor();
  }
  const found = async () => (await keeper.call('GET', `/products?${new URLSearchParams({ q: mark, page_size: 100 })}`)).items;
  assert.deepEqual((await found()).map(({ name }) => name).sort(), [`Bowl "${mark}"; large`, `Jug ${mark}`, `Jug ${mark}`, `Taken ${mark}`]);
  await choose();
  await button(page, 'Import 5 products').click();
  await page.getByText('Products made: 0.').waitFor();
  await page.getByText('Made by an earlier try: 3.').waitFor();
  assert.equal((await found()).length, 4);
  const [bad] = await Promise.all([page.waitForEvent('download'), button(page, 'Save these lines as a file').click()]);
  assert.match(await readFile(await bad.path(), 'utf8'), new RegExp(`No price ${mark},,cheap,EUR`));

  // What a spreadsheet would take for a formula leaves as text, and comes back as it was.
  const formula = await keeper.add({ name: `=HYPERLINK("x") ${mark}`, description: 'Two\nlines, "quoted"' });
  const [whole] = await Promise.all([page.waitForEvent('download'), button(page, 'Export the catalogue').click()]);
  const text = await readFile(await whole.path(), 'utf8');
  assert.ok(text.includes(`"'=HYPERLINK(""x"") ${mark}"`) && text.includes('"Two\nlines, ""quoted"""'), text.slice(-400));
  await keeper.call('DELETE', `/products/${formula.id}`);
  await page.getByLabel('File', { exact: true }).setInputFiles({ name: 'back.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
  await button(page, /^Import \d+ products$/).waitFor();
  await page.getByLabel('File', { exact: true }).setInputFiles({ name: 'odd.csv', mimeType: 'text/csv', buffer: Buffer.from([0xff, 0xfe, 0x41]) });
  await page.getByText('The file is not in UTF-8.').waitFor();
  assert.deepEqual(page.faults, []);
});

test('nobody but an admin sees anything, and is told so', async () => {
  const page = await shopper();
  const data = [];
  page.on('response', (response) => {
    if (/^\/(users|audit|orders|flow|dead-letters)/.test(new URL(response.url()).pathname) && response.ok()) data.push(response.url());
  });
  await page.goto('/admin/users');
  await page.getByText("Log in with an admin's account").waitFor();
  await logIn(page, await account(keeper));
  await page.getByText('This account does not run the shop.').waitFor();
  for (const path of ['/admin', '/admin/audit', '/admin/flow', '/admin/orders', '/admin/products']) {
    await page.goto(path);
    await page.getByText('This account does not run the shop.').waitFor();
  }
  assert.deepEqual(data, []);

  // One who was an admin a moment ago is told at the next thing that the API refuses.
  const deputy = await account(keeper, { role: 'admin' });
  const office = await admin({}, deputy);
  await keeper.call('PATCH', `/users/${deputy.id}`, { role: 'user' });
  await office.waitForTimeout(1100);
  await office.getByRole('link', { name: 'Accounts', exact: true }).click();
  await office.getByText('This account does not run the shop.').waitFor();
});

test('keys alone are enough to change a price', async () => {
  const page = await admin();
  const { id, name } = await keeper.add({ name: `Priced by keys ${randomUUID().slice(0, 8)}` });
  await page.goto(`/admin/products?q=${encodeURIComponent(name)}`);
  await page.getByRole('link', { name }).waitFor();
  const until = async (wanted) => {
    for (let presses = 0; presses < 40; presses++) {
      const reached = await page.evaluate(() => document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent.trim());
      if (reached === wanted) return;
      await page.keyboard.press('Tab');
    }
    throw new Error(`${wanted} is not reached`);
  };
  await until(name);
  await page.keyboard.press('Enter');
  await page.getByLabel('Price').waitFor();
  await until('Price');
  await page.keyboard.type('33');
  await page.keyboard.press('Enter');
  await told(page, 'Saved.');
  assert.equal((await keeper.call('GET', `/products/${id}`)).price, 33);
});
