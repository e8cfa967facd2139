// The documentation in the browser: what a developer does in the first minute, by keyboard and without script too, in both
// themes and down to 360 px.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ADMIN, PASSWORD, URL_OF_SHOP, closeAll, expect, newEmail, shopper } from './shop.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FOLDER = process.env.SCREENSHOTS ?? 'screenshots';
after(closeAll);

const tryOut = async (page, id) => {
  const form = page.locator(`#${id} form.try`);
  await form.getByText('Try it').click();
  return form;
};
const sent = async (form, status) => {
  await form.getByRole('button', { name: 'Send' }).click();
  await form.locator('.outcome b').filter({ hasText: `${status} ` }).waitFor();
  // Until then it may be stopped.
  await expect(form.locator('.stop')).toBeHidden();
  return form.locator('.outcome > pre code').textContent();
};
const logIn = async (page, { email, password }, button = 'Log in') => {
  const account = page.locator('#account');
  await account.locator('summary').click();
  await account.getByLabel('Email').fill(email);
  await account.getByLabel('Password').fill(password);
  await account.getByRole('button', { name: button }).click();
  await account.locator('.who').filter({ hasText: email }).waitFor();
};

test('a call is sent, and the next one has what it answered', async () => {
  const page = await shopper();
  await page.goto('/docs');
  await expect(page.locator('[data-start="first"]')).toContainText(URL_OF_SHOP);
  const unknown = await tryOut(page, 'createProduct');
  await sent(unknown, 401);
  await unknown.getByRole('link', { name: 'Authentication required' }).waitFor();
  await logIn(page, ADMIN);
  const product = JSON.parse(await sent(unknown, 201));
  const placing = await tryOut(page, 'createOrder');
  await expect(placing.getByLabel('Body')).toHaveValue(new RegExp(product.id));
  const order = JSON.parse(await sent(placing, 201));
  const followed = await tryOut(page, 'getOrderEvents');
  await expect(followed.getByLabel('id')).toHaveValue(order.id);
  await followed.getByRole('button', { name: 'Send' }).click();
  await followed.locator('.outcome pre', { hasText: 'confirmed' }).waitFor();
  await followed.getByRole('button', { name: 'Stop' }).click();
  await page.locator('#account').getByRole('button', { name: 'Log out' }).click();
  await page.locator('#account summary').waitFor();
  assert.deepEqual(page.faults, []);
});

test('one registers there, and no storage has the tokens', async () => {
  const page = await shopper();
  await page.goto('/docs');
  await logIn(page, { email: newEmail(), password: PASSWORD }, 'Register');
  assert.equal(JSON.parse(await sent(await tryOut(page, 'getUsersMe'), 200)).role, 'user');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /ey[A-Za-z0-9]/);
  await page.reload();
  await page.locator('#account summary').filter({ hasText: 'Log in' }).waitFor();
  assert.deepEqual(page.faults, []);
});

test('without script everything is read, in the language that one chooses', async () => {
  const page = await shopper({ javaScriptEnabled: false });
  await page.goto('/docs');
  const example = (language) => page.locator(`#createOrder .sample.${language}`);
  await expect(example('curl')).toBeVisible();
  await expect(example('python')).toBeHidden();
  await page.getByLabel('Python').check();
  await expect(example('python')).toBeVisible();
  await expect(example('curl')).toBeHidden();
  await expect(page.locator('#createOrder form.try')).toBeHidden();
  await page.locator('#createOrder').getByText('Refusals').click();
  await page.locator('#createOrder').getByRole('link', { name: '409' }).click();
  await page.locator('#problems-409').getByRole('link', { name: 'Idempotency key in flight' }).click();
  await page.getByRole('heading', { name: 'What to do' }).waitFor();
});

test('the keyboard is enough', async () => {
  const page = await shopper();
  await page.goto('/docs');
  await page.keyboard.press('Tab');
  await expect(page.getByText('To the content')).toBeFocused();
  await page.getByLabel('curl').focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByLabel('TypeScript')).toBeChecked();
  await page.locator('#listCategories form.try summary').focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('#listCategories .outcome b').filter({ hasText: '200' }).waitFor();
});

test('axe-core finds nothing, in either theme, and it fits into its width', async () => {
  mkdirSync(FOLDER, { recursive: true });
  const page = await shopper({ reducedMotion: 'reduce' });
  const found = [];
  for (const [name, path] of [['docs', '/docs'], ['problem', '/problems/insufficient-stock'], ['problems', '/problems']]) {
    await page.goto(path);
    if (name === 'docs') {
      await sent(await tryOut(page, 'listProducts'), 200);
      await page.locator('#account summary').click();
    }
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      for (const width of [360, 768, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        await page.screenshot({ path: join(FOLDER, `${name}-${width}-${colorScheme}.png`) });
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wider > 0) found.push(`${name} at ${width}: ${wider} px too wide`);
      }
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      found.push(...violations.map(({ id, nodes }) => `${name} ${colorScheme}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).slice(0, 3).join(' | ')}`));
    }
  }
  assert.deepEqual(found, []);
});
