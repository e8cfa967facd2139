// Who one is: a session that no script can steal, that ends in the middle of things, and that two tabs share.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import jsQR from 'jsqr';
import { PNG } from 'pngjs';
import { PASSWORD, Shopkeeper, URL_OF_SHOP, arrived, closeAll, expect, register, shopper } from './shop.mjs';
import { totp } from './totp.mjs';

after(closeAll);

test('no script can read the refresh token, and the page is not told it', async () => {
  const page = await shopper();
  const told = [];
  page.on('response', (response) => {
    if (new URL(response.url()).pathname.startsWith('/auth/')) told.push(response.text());
  });
  await register(page);
  await Promise.all(told);
  const [cookie] = (await page.context().cookies(`${URL_OF_SHOP}/auth/refresh`)).filter(({ name }) => name.endsWith('refresh'));
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Strict', '/auth']);
  const seen = await page.evaluate(() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage));
  assert.ok(!seen.includes(cookie.value));
  await page.reload();
  await page.getByLabel('Email').waitFor();
  await expect.poll(() => told.length).toBeGreaterThanOrEqual(2);
  for (const text of await Promise.all(told)) assert.ok(!text.includes('refresh_token') && !text.includes(cookie.value), text);
});

test('a session that ends while one is typing is opened again in place, and nothing is lost', async () => {
  const page = await shopper();
  const email = await register(page);
  await page.getByLabel('Name').fill('Ada, Countess of Lovelace');
  const elsewhere = await Shopkeeper.logIn(URL_OF_SHOP, { email, password: PASSWORD });
  await elsewhere.call('DELETE', '/users/me/sessions');
  await page.waitForTimeout(1100);
  await page.getByRole('button', { name: 'Save' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('Email')).toHaveValue(email);
  await dialog.getByLabel('Password').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('Saved.').waitFor();
  await expect(page.getByLabel('Name')).toHaveValue('Ada, Countess of Lovelace');
  await page.reload();
  await page.getByRole('link', { name: 'Ada, Countess of Lovelace' }).waitFor();
  assert.deepEqual(page.faults, []);
});

test('tabs that renew the session at once keep it', async () => {
  const page = await shopper();
  await register(page);
  const tabs = await Promise.all([1, 2, 3].map(() => page.context().newPage()));
  for (let round = 0; round < 2; round++) {
    await Promise.all(tabs.map(async (tab) => {
      await tab.goto('/shop/account');
      await tab.getByLabel('Email').waitFor();
    }));
  }
});

test('logging out in one tab logs out in the other', async () => {
  const page = await shopper();
  await register(page);
  const other = await page.context().newPage();
  await other.goto('/');
  await other.getByRole('link', { name: 'Ada' }).waitFor();
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await other.getByRole('link', { name: 'Account' }).waitFor();
  const cookies = await page.context().cookies(`${URL_OF_SHOP}/auth/refresh`);
  assert.deepEqual(cookies.filter(({ name }) => name.endsWith('refresh')), []);
});

test('the password can be changed, and other sessions ended', async () => {
  const page = await shopper();
  const email = await register(page);
  await Shopkeeper.logIn(URL_OF_SHOP, { email, password: PASSWORD });
  await page.reload();
  await page.getByRole('button', { name: /^End the session/ }).click();
  await page.getByText('That session has ended.').waitFor();
  await page.getByLabel('Current password').fill('not this one');
  await page.getByLabel('New password').fill('another horse that is right');
  await page.getByRole('button', { name: 'Change the password' }).click();
  await page.getByText('The current password is wrong.').waitFor();
  await expect(page.getByLabel('New password')).toHaveValue('another horse that is right');
  await page.getByLabel('Current password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Change the password' }).click();
  await page.getByText('Your password is changed.').waitFor();
  // And the session that ended by it is opened again.
  await expect(page.locator('form[aria-busy]')).toHaveCount(0);
  await Shopkeeper.logIn(URL_OF_SHOP, { email, password: 'another horse that is right' });
  await page.reload();
  await page.getByLabel('Email').waitFor();
});

test('a second factor is asked for', async () => {
  const page = await shopper();
  const email = await register(page);
  const account = await Shopkeeper.logIn(URL_OF_SHOP, { email, password: PASSWORD });
  const { secret } = await account.call('POST', '/users/me/mfa');
  const step = Math.floor(Date.now() / 30_000);
  const { recovery_codes: [recovery] } = await account.call('POST', '/users/me/mfa/confirm', { code: totp(secret, step) });
  await page.waitForTimeout(1100);
  await page.goto('/shop/login');
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByLabel('Code').fill('000000');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('The code is wrong').waitFor();
  await page.getByLabel('Code').fill(recovery);
  await page.getByRole('button', { name: 'Log in' }).click();
  await arrived(page, '**/shop/account');
});

test('a second factor is set up and removed in the account', async () => {
  const page = await shopper();
  const email = await register(page);
  const factor = page.getByRole('region', { name: 'Second factor' });
  await factor.getByRole('button', { name: 'Set it up' }).click();
  const secret = (await factor.locator('.secret').textContent()).replaceAll(' ', '');
  const link = await factor.getByRole('link', { name: 'Open in an app' }).getAttribute('href');
  assert.ok(link.startsWith('otpauth://totp/') && link.includes(`secret=${secret}`), link);
  const picture = factor.getByRole('img', { name: 'QR code of the secret' });
  await picture.evaluate((element) => element.scrollIntoView({ block: 'center', behavior: 'instant' })); // from under the header
  const { data, width, height } = PNG.sync.read(await picture.screenshot());
  assert.equal(jsQR(new Uint8ClampedArray(data), width, height)?.data, link, 'what a camera reads');
  await factor.getByRole('textbox', { name: 'Code' }).fill('000000');
  await factor.getByRole('button', { name: 'Switch it on' }).click();
  await factor.getByText('The code is wrong').waitFor();
  await factor.getByRole('textbox', { name: 'Code' }).fill(totp(secret));
  await factor.getByRole('button', { name: 'Switch it on' }).click();
  await factor.getByText('They are shown this once.').waitFor();
  await expect(factor.locator('.codes code')).toHaveCount(10);
  const [code] = await factor.locator('.codes code').allTextContents();
  await factor.getByRole('button', { name: 'I have kept them' }).click();
  await factor.getByText('Recovery codes left: 10').waitFor();
  await expect(factor.locator('.codes')).toHaveCount(0);
  await assert.rejects(Shopkeeper.logIn(URL_OF_SHOP, { email, password: PASSWORD }), /mfa-required/);
  await factor.getByRole('textbox', { name: 'Code' }).fill(code);
  await factor.getByRole('button', { name: 'Remove it' }).click();
  await factor.getByRole('button', { name: 'Set it up' }).waitFor();
  await Shopkeeper.logIn(URL_OF_SHOP, { email, password: PASSWORD });
  assert.deepEqual(page.faults, []);
});
