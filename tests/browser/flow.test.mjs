// What moves through the shop, live: orders, what waits, and the dead letters, which are put back by a button.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import amqp from 'amqplib';
import { ADMIN, URL_OF_SHOP, Shopkeeper, closeAll, expect } from './shop.mjs';
import { account, admin, settled, told } from './office.mjs';

let keeper;
before(async () => { keeper = await Shopkeeper.logIn(URL_OF_SHOP, ADMIN); });
after(closeAll);

/** Messages under an event's name that are no events, by their ids. */
async function poison(ids) {
  const connection = await amqp.connect(readFileSync(process.env.PRODUCER_AMQP_URL_FILE, 'utf8').trim());
  const channel = await connection.createConfirmChannel();
  for (const messageId of ids) {
    channel.publish('shop.events', 'order.created', Buffer.from('this is no event'), { messageId, type: 'order.created', persistent: true });
  }
  await channel.waitForConfirms();
  await connection.close();
}

const number = (page, text) => page.locator('.tile').filter({ hasText: text }).locator('.tile-number');

test('orders are counted while they come', async () => {
  const page = await admin();
  await page.getByRole('link', { name: 'Flow', exact: true }).click();
  await page.getByRole('heading', { name: 'Outboxes' }).waitFor();
  for (const service of ['order-service', 'inventory-service', 'user-service']) await page.getByRole('cell', { name: service }).waitFor();
  const { email, password } = await account(keeper);
  const customer = await Shopkeeper.logIn(URL_OF_SHOP, { email, password });
  const product = await keeper.add({ name: `Flowing ${randomUUID().slice(0, 8)}`, stock: 1000 });
  for (let count = 0; count < 20; count++) await settled(customer, { items: [{ product_id: product.id, quantity: 1 }] });
  await expect(number(page, 'Orders a second')).not.toHaveText(/^0/);
  await page.getByText(/\d+ confirmed/i).waitFor();
  await expect(number(page, 'Not decided yet')).toHaveText('0');
  await expect(number(page, 'In the queue')).toHaveText('0');
  assert.deepEqual(page.faults, []);
});

test('dead letters are seen, and put back by a button', async () => {
  const page = await admin();
  await page.goto('/admin/flow');
  const before = Number(await number(page, 'Dead letters').textContent());
  const ids = ['one', 'other'].map((name) => `${name}-${randomUUID().slice(0, 8)}`);
  await poison(ids);
  // They come by themselves, and to whoever looks.
  await expect(number(page, 'Dead letters')).toHaveText(String(before + 2));
  const letters = page.getByRole('table', { name: 'Dead letters' });
  await expect(letters.getByRole('cell', { name: 'refused by consumer-service' })).toHaveCount(before + 2);
  const seen = async () => (await keeper.call('GET', '/dead-letters?limit=100')).items.map(({ message_id: id }) => id);
  assert.deepEqual((await seen()).slice(-2).sort(), [...ids].sort());

  await letters.getByRole('button', { name: `Put back ${ids[0].slice(-8).toUpperCase()}` }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Put back' }).click();
  await told(page, 'Put back: 1');
  // What is put back unchanged is refused again, and is the last of them then.
  await expect.poll(async () => (await seen()).at(-1)).toBe(ids[0]);

  await page.getByRole('button', { name: /^Put back all/ }).click();
  await dialog.getByRole('button', { name: 'Leave it' }).click();
  await expect(dialog).toHaveCount(0);
  assert.equal((await seen()).length, before + 2);
  assert.deepEqual(page.faults, []);
});
