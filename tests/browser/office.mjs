// The admin's pages, as whoever runs the shop sees them.
import { ADMIN, PASSWORD, Shopkeeper, URL_OF_SHOP, newEmail, shopper } from './shop.mjs';

/** Logs in at the page that is shown. */
export async function logIn(page, { email, password }) {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('main').getByRole('button', { name: 'Log in' }).click();
}

/** A browser with the shop's first admin, or another, at the office's door and in. */
export async function admin(options = {}, account = ADMIN) {
  const page = await shopper(options);
  await page.goto('/admin');
  await logIn(page, account);
  await page.locator('.tiles').waitFor();
  return page;
}

/** An account made by the API, and what makes it an admin. */
export async function account(keeper, { role = 'user', name = 'Ada' } = {}) {
  const email = newEmail();
  const { user } = await new Shopkeeper(URL_OF_SHOP).call('POST', '/auth/register', { email, password: PASSWORD, name });
  if (role !== 'user') await keeper.call('PATCH', `/users/${user.id}`, { role });
  return { ...user, email, password: PASSWORD };
}

/** Waits for what a page says for a moment. */
export const told = (page, text) => page.locator('.toast').filter({ hasText: text }).waitFor();

/** The order, once it is no longer on its way. */
export async function settled(customer, body) {
  const { id } = await customer.call('POST', '/orders', body);
  for (;;) {
    const order = await customer.call('GET', `/orders/${id}`);
    if (order.status !== 'pending') return order;
    await new Promise((after) => { setTimeout(after, 100); });
  }
}
