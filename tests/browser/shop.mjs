// A running shop, as shoppers see it: in a browser.
import { randomUUID } from 'node:crypto';
import { chromium } from 'playwright';
import { expect as base } from 'playwright/test';
import { Shopkeeper } from './shopkeeper.mjs';

export { Shopkeeper };

export const URL_OF_SHOP = process.env.SHOP_URL;
export const ADMIN = { email: process.env.ADMIN_EMAIL, password: process.env.ADMIN_PASSWORD };
export const PASSWORD = 'a horse that is correct';
const TIMEOUT = 20_000;

/** What is expected of a page may take as long as what is done to it. */
export const expect = base.configure({ timeout: TIMEOUT });

export const newEmail = () => `shopper-${randomUUID().slice(0, 13)}@shop.example`;

let browser;
const contexts = [];

/** A browser of its own for a shopper, that fails the test for whatever is refused by the policy or thrown by a script. */
export async function shopper(options = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const context = await browser.newContext({ baseURL: URL_OF_SHOP, locale: 'en-GB', viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(TIMEOUT);
  contexts.push(context);
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(`${error}`));
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) page.faults.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(URL_OF_SHOP)) page.faults.push(`asked for ${request.url()}`);
  });
  return page;
}

export async function closeAll() {
  await browser?.close();
  browser = undefined;
}

/**
 * Waits for a page of the shop. Where the browser stays in its document, the address is the new one before the page is, and
 * whatever both pages have would be that of the old one (web/shop/navigation.js).
 */
export async function arrived(page, url) {
  await page.waitForURL(url);
  await expect(page.locator('html')).not.toHaveAttribute('data-loading');
}

/** Waits for the script of the catalogue, which comes after its pages: what is typed or chosen before it does nothing. */
export async function scripted(page) {
  const script = await page.waitForFunction(() =>
    performance.getEntriesByType('resource').find(({ name }) => name.includes('/assets/catalogue-'))?.name);
  await page.evaluate(async (name) => { await import(name); }, script);
}

/** Registers by the page. */
export async function register(page, { email = newEmail(), name = 'Ada' } = {}) {
  await page.goto('/shop/register');
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('Name').fill(name);
  await page.getByRole('button', { name: 'Register' }).click();
  await arrived(page, '**/shop/account');
  return email;
}

/** Puts a product into the cart from its page. */
export async function take(page, id, quantity = 1) {
  await page.goto(`/shop/products/${id}`);
  await page.getByLabel('Quantity').fill(String(quantity));
  await page.getByRole('button', { name: 'Add to cart', exact: true }).click();
  await page.locator('.toast').waitFor();
}

/** The first request of that method there is answered so; of others, however many come before, nothing changes. */
export async function once(page, pattern, method, answer) {
  let done = false;
  await page.route(pattern, (route) => {
    if (done || route.request().method() !== method) return route.fallback();
    done = true;
    return answer(route);
  });
}

export const status = (page) => page.locator('[data-status]');

/** The orders of an account, by the API. */
export async function ordersOf(email, password = PASSWORD) {
  const customer = await Shopkeeper.logIn(URL_OF_SHOP, { email, password });
  return (await customer.call('GET', '/orders?page_size=100')).items;
}
