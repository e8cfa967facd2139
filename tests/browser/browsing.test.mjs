// Looking around: with scripts and without, back and forward, and nothing that anybody writes becomes part of a page.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ADMIN, URL_OF_SHOP, Shopkeeper, arrived, closeAll, expect, register, scripted, shopper, status, take } from './shop.mjs';

let keeper;
before(async () => { keeper = await Shopkeeper.logIn(URL_OF_SHOP, ADMIN); });
after(closeAll);

test('everything but buying works without scripts', async () => {
  const page = await shopper({ javaScriptEnabled: false });
  await page.goto('/');
  await expect(page.locator('.card').nth(19)).toBeVisible();
  await page.getByLabel('Search products').fill('lamp');
  await page.getByLabel('Search products').press('Enter');
  await arrived(page, '**/?q=lamp');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Results for “lamp”');
  await page.getByLabel('Sort by').selectOption('price');
  await page.getByRole('button', { name: 'Apply' }).click();
  await arrived(page, '**/?q=lamp&sort=price');
  await expect(page.locator('.card-name').nth(0)).toHaveText('Bedside lamp “Ida”');
  await expect(page.locator('.card-name').nth(1)).toHaveText('Reading lamp “Otto”');
  await page.locator('.categories').getByRole('link', { name: /Lighting/ }).click();
  await arrived(page, '**/?q=lamp&category=Lighting&sort=price');
  await page.locator('.card-link').first().click();
  await page.getByRole('heading', { name: 'Bedside lamp “Ida”' }).waitFor();
  // Playwright's way of switching scripts off does not show what is in `noscript`.
  await expect.poll(() => page.locator('main noscript').textContent()).toContain('To buy this, allow JavaScript');
  await expect(page.getByRole('button', { name: 'Add to cart' })).toHaveCount(0);
  await page.getByRole('link', { name: 'Cart' }).click();
  await arrived(page, '**/shop/cart');
  await expect.poll(() => page.locator('main noscript').textContent()).toContain('This page needs JavaScript');
});

test('one searches as one types, and goes back and forward through it', async () => {
  const page = await shopper();
  await page.goto('/');
  await scripted(page);
  const search = page.getByLabel('Search products');
  await search.pressSequentially('vase', { delay: 30 });
  await arrived(page, '**/?q=vase');
  await page.getByRole('heading', { name: 'Results for “vase”' }).waitFor();
  await expect(search, 'the focus stays').toBeFocused();
  await search.pressSequentially(' lund', { delay: 30 });
  await arrived(page, '**/?q=vase+lund');
  await page.getByRole('link', { name: 'Vase “Lund”' }).click();
  await page.getByRole('heading', { name: 'Vase “Lund”' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { name: 'Results for “vase lund”' }).waitFor();
  await expect(search).toHaveValue('vase lund');
  await page.goBack();
  await page.getByRole('heading', { name: 'All products' }).waitFor();
  await page.goForward();
  await page.getByRole('heading', { name: 'Results for “vase lund”' }).waitFor();
  await page.getByLabel('Sort by').focus();
  await page.getByLabel('Sort by').selectOption('name');
  await arrived(page, '**/?q=vase+lund&sort=name');
  await expect(page.locator('#sort')).toBeFocused();
  assert.deepEqual(page.faults, []);
});

test('pages are numbered, and what is not there says so', async () => {
  const page = await shopper();
  const category = `Many ${randomUUID().slice(0, 8)}`;
  await Promise.all(Array.from({ length: 26 }, (_, number) => keeper.add({ name: `One of many ${number}`, category })));
  await page.goto(`/?${new URLSearchParams({ category })}`);
  await page.getByRole('link', { name: 'Next' }).click();
  await arrived(page, '**page=2');
  await expect(page.locator('.card')).toHaveCount(2);
  await page.goto('/?q=nothinghasthisname');
  await page.getByText('Nothing to show here.').waitFor();
  await page.getByRole('main').getByRole('link', { name: 'See all products' }).click();
  await page.getByRole('heading', { name: 'All products' }).waitFor();
  for (const path of ['/shop/nothing', '/shop/products/nothing', `/shop/products/${randomUUID()}`]) {
    const answer = await page.goto(path);
    assert.equal(answer.status(), 404);
    await page.getByRole('heading', { name: 'There is nothing here' }).waitFor();
  }
});

test('a page that could not be loaded can be tried again', async () => {
  const page = await shopper();
  await page.goto('/');
  await page.context().setOffline(true);
  await page.locator('.card-link').first().click();
  await page.getByText('This page could not be loaded.').waitFor();
  await page.context().setOffline(false);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('button', { name: 'Add to cart', exact: true }).waitFor();
});

test('what somebody writes is text, wherever it is shown', async () => {
  const attack = '"><img src=x onerror="window.hit=1"><script>window.hit=1</script><svg onload="window.hit=1">';
  const page = await shopper();
  const unharmed = async () => assert.equal(await page.evaluate(() => window.hit), undefined);
  const product = await keeper.add({ name: `Harmless ${attack}`, description: `${attack}\n${attack}`, category: `Odd ${attack}`.slice(0, 60), sku: `ODD-${randomUUID()}` });
  await register(page, { name: `Ada ${attack}` });
  await expect(page.getByLabel('Name')).toHaveValue(`Ada ${attack}`);
  await unharmed();
  await take(page, product.id, 1);
  for (const path of [`/?q=${encodeURIComponent(attack)}`, `/?category=${encodeURIComponent(product.category)}`, `/shop/products/${product.id}`, '/shop/cart', '/shop/checkout']) {
    await page.goto(path);
    await expect(page.getByRole('main')).toContainText('onerror');
    await unharmed();
  }
  await page.getByRole('button', { name: 'Buy now' }).click();
  await status(page).filter({ hasText: 'Confirmed' }).waitFor();
  await page.getByRole('link', { name: 'Orders' }).click();
  await page.locator('.order').filter({ hasText: 'onerror' }).waitFor();
  await unharmed();
  for (const next of ['https://evil.example/', '//evil.example', 'javascript:window.hit=1', '/\\evil.example']) {
    await page.goto(`/shop/login?next=${encodeURIComponent(next)}`);
    await page.getByRole('main').getByRole('button', { name: 'Log in' }).waitFor();
    await unharmed();
  }
  assert.deepEqual(page.faults, []);
});

test('no page may run what is written into it', async () => {
  const page = await shopper();
  for (const path of ['/', '/shop/cart', '/shop/nothing']) {
    const answer = await page.goto(path);
    const policy = answer.headers()['content-security-policy'];
    assert.ok(policy.startsWith("default-src 'self';") && !/unsafe|data:|\*|nonce/.test(policy), policy);
  }
  await page.evaluate(() => {
    const script = document.createElement('script');
    try { script.textContent = 'window.hit = 1'; } catch { return; }
    document.body.append(script);
  });
  assert.equal(await page.evaluate(() => window.hit), undefined);
});

test('the language follows the browser, and the choice', async () => {
  const page = await shopper({ locale: 'de-AT' });
  await page.goto('/?q=lamp');
  await page.getByRole('heading', { name: 'Ergebnisse für „lamp“' }).waitFor();
  await page.getByRole('link', { name: 'English' }).click();
  await page.getByRole('heading', { name: 'Results for “lamp”' }).waitFor();
  await page.goto('/shop/cart');
  await page.getByText('Your cart is empty.').waitFor();
});

test('a price from the gateway is written as the browser writes it', async () => {
  const currencies = ['EUR', 'USD', 'GBP', 'JPY', 'INR', 'KRW', 'CHF', 'KWD', 'SEK'];
  const products = await Promise.all(currencies.map((currency) => keeper.add({ name: `Priced in ${currency}`, price: 1234, currency })));
  for (const locale of ['en', 'de']) {
    const page = await shopper({ locale });
    for (const [index, { id }] of products.entries()) {
      await page.goto(`/shop/products/${id}`);
      const expected = await page.evaluate(([currency]) =>
        new Intl.NumberFormat(document.documentElement.lang, { style: 'currency', currency }).format(1234), [currencies[index]]);
      await expect.poll(async () => (await page.locator('.product .price').textContent()).trim()).toBe(expected);
    }
  }
});

test('the first page is under 60 KB on the wire, and its files are kept for ever', async () => {
  const page = await shopper();
  const finished = [];
  page.on('requestfinished', (request) => finished.push(request));
  await page.goto('/', { waitUntil: 'networkidle' });
  const sizes = new Map(await Promise.all(finished.map(async (request) => {
    const { responseBodySize, responseHeadersSize } = await request.sizes();
    return [request.url(), responseBodySize + responseHeadersSize];
  })));
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  console.log(`${sizes.size} files, ${total} bytes`);
  assert.ok(total < 60_000, JSON.stringify([...sizes]));
  for (const url of sizes.keys()) {
    if (!url.includes('/assets/')) continue;
    const packed = await fetch(url, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(packed.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    assert.equal(packed.headers.get('content-encoding'), 'gzip');
    const again = await fetch(url, { headers: { 'accept-encoding': 'gzip', 'if-none-match': packed.headers.get('etag') } });
    assert.equal(again.status, 304);
  }
});

// The phone of Lighthouse, with its slow 4G: https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md. The time is
// printed, and nothing fails for it.
test('what is largest on the first page was in its first answer, also on a slow phone', async () => {
  const page = await shopper({ viewport: { width: 412, height: 823 } });
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Network.enable');
  await devtools.send('Network.emulateNetworkConditions', { offline: false, latency: 150, downloadThroughput: 1638.4 * 1000 / 8, uploadThroughput: 675 * 1000 / 8 });
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  await page.goto('/', { waitUntil: 'networkidle' });
  const { at, what } = await page.evaluate(() => new Promise((resolve) => {
    new PerformanceObserver((list) => {
      const { startTime, element } = list.getEntries().at(-1);
      resolve({ at: Math.round(startTime), what: element.getAttribute('src') ?? element.textContent.trim() });
    }).observe({ type: 'largest-contentful-paint', buffered: true });
  }));
  console.log(`largest paint after ${at} ms: ${what}`);
  const answered = await (await fetch(URL_OF_SHOP, { headers: { accept: 'text/html' } })).text();
  assert.ok(answered.includes(what), what);
});

test('keys alone are enough to buy', async () => {
  const page = await shopper();
  const product = await keeper.add({ name: 'Bought by keys' });
  await register(page);
  await page.goto(`/shop/products/${product.id}`);
  await scripted(page);
  await page.keyboard.press('Tab');
  await expect(page.locator('.skip')).toBeFocused();
  const until = async (name) => {
    for (let presses = 0; presses < 40; presses++) {
      const text = await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim());
      if (text === name) return page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
    }
    throw new Error(`${name} is not reached`);
  };
  await until('Add to cart');
  await page.locator('.toast').waitFor();
  await until('Cart, 1 item');
  await arrived(page, '**/shop/cart');
  await page.getByRole('link', { name: 'Go to checkout' }).waitFor();
  await until('Go to checkout');
  await page.getByRole('button', { name: 'Buy now' }).waitFor();
  await until('Buy now');
  await arrived(page, '**/shop/orders/*');
});
