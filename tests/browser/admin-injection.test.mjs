// Nothing that anybody writes runs in the admin's pages: neither what customers write, nor what comes in a file, nor what is
// typed into any field.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ADMIN, URL_OF_SHOP, Shopkeeper, closeAll, expect } from './shop.mjs';
import { account, admin, settled } from './office.mjs';

const ATTACK = '"><img src=x onerror="window.hit=1"><script>window.hit=1</script><svg onload="window.hit=1">';
let keeper;
before(async () => { keeper = await Shopkeeper.logIn(URL_OF_SHOP, ADMIN); });
after(closeAll);

const unharmed = async (page, where) => {
  assert.equal(await page.evaluate(() => window.hit), undefined, where);
  assert.deepEqual(page.faults, [], where);
};

const ready = (page) => page.locator('.skeleton').first().waitFor({ state: 'detached' });

test('what is stored is text on every page', async () => {
  const page = await admin();
  const mallory = await account(keeper, { name: `Mallory ${ATTACK}` });
  const customer = await Shopkeeper.logIn(URL_OF_SHOP, { email: mallory.email, password: mallory.password });
  const sku = `ODD-${randomUUID()}`;
  const product = await keeper.add({
    name: `Odd ${ATTACK}`, description: `${ATTACK}\n${ATTACK}`, category: `Odd ${ATTACK}`.slice(0, 100), sku, image_url: `${URL_OF_SHOP}/"><script>hit=1</script>`,
  });
  await keeper.call('POST', `/products/${product.id}/stock`, { delta: 1, reason: `Odd ${ATTACK}` });
  const order = await settled(customer, { items: [{ product_id: product.id, quantity: 1 }] });
  await keeper.call('PATCH', `/products/${product.id}`, { name: `Odder ${ATTACK}` });
  for (const path of [
    '/admin', `/admin/products?q=${sku}`, `/admin/products?${new URLSearchParams({ category: product.category })}`, `/admin/products/${product.id}`,
    `/admin/orders?customer=${mallory.id}`, `/admin/orders/${order.id}`, '/admin/users', `/admin/users/${mallory.id}`,
    `/admin/audit?subject=${product.id}`, `/admin/products/${encodeURIComponent(ATTACK)}`, `/admin/orders/${encodeURIComponent(ATTACK)}`,
  ]) {
    await page.goto(path);
    await expect(page.getByRole('main')).toContainText(/onerror|There is no such/);
    await ready(page);
    await unharmed(page, path);
  }
  await page.goto(`/admin/products/${product.id}`);
  await expect(page.locator('h1')).toHaveText(`Odder ${ATTACK}`);
  await page.getByLabel('Description').fill('Something else');
  await keeper.call('PATCH', `/products/${product.id}`, { description: `${ATTACK} again` });
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.locator('.choice').filter({ hasText: 'onerror' }).waitFor();
  await unharmed(page, 'the conflict');
});

test('what is typed is text, in every field of every page', async () => {
  const page = await admin();
  const product = await keeper.add({ name: 'Typed into' });
  page.on('dialog', (dialog) => dialog.accept());
  let fields = 0;
  for (const path of ['/admin/products', '/admin/products/new', `/admin/products/${product.id}`, '/admin/orders', '/admin/users', '/admin/audit']) {
    await page.goto(path);
    await page.locator('main form').first().waitFor();
    const count = await page.locator('main form').count();
    for (let form = 0; form < count; form++) {
      await page.goto(path);
      await ready(page);
      await page.locator('main form').nth(form).waitFor();
      const texts = page.locator('main form').nth(form).locator('textarea, input:not([type=date], [type=number])');
      for (let index = 0; index < await texts.count(); index++) {
        const most = await texts.nth(index).getAttribute('maxlength');
        await texts.nth(index).fill(ATTACK.slice(0, Number(most ?? 500)));
        fields++;
      }
      // Past what the browser itself would hold back.
      await page.locator('main form').nth(form).evaluate((element) => { element.noValidate = true; element.requestSubmit(); });
      await expect(page.locator('[data-loading], [aria-busy]')).toHaveCount(0);
      await ready(page);
      await unharmed(page, `${path}, form ${form}`);
    }
  }
  assert.ok(fields >= 15, `${fields} fields`);
});

test('what comes in a file is text', async () => {
  const page = await admin();
  await page.goto('/admin/import');
  const quoted = `"${ATTACK.replaceAll('"', '""')}"`;
  const text = `name,price,currency,stock,category,description,image_url,${quoted}\n${quoted},1,EUR,1,${quoted},${quoted},,${quoted}\n${quoted},${quoted},${quoted},${quoted},,,${quoted},\n`;
  await page.getByLabel('File', { exact: true }).setInputFiles({ name: `${ATTACK.replaceAll('/', '')}.csv`, mimeType: 'text/csv', buffer: Buffer.from(text) });
  await page.getByRole('button', { name: 'Import 1 product' }).click();
  await page.getByRole('heading', { name: 'What became of it' }).waitFor();
  await unharmed(page, 'the import');
});
