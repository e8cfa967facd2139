// What the documentation shows is right: every example for a shell runs against the shop, each after what it needs; so do
// the first steps at the head of the page. (Those in other languages are made from the same description; that they compile
// is tested by tests/lint/run and tests/examples.)
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Shopkeeper } from './shopkeeper.mjs';

const { SHOP_URL, ADMIN_EMAIL, ADMIN_PASSWORD } = process.env;
const ADA = { email: 'ada@example.com', password: 'correct horse' };
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'examples-'));
/** What the examples take from the environment. */
const variables = { SHOP_URL, CURL_HOME: folder, PATH: process.env.PATH };
const samples = new Map();
let admin;
let ada;

before(async () => {
  // Whoever runs an example sees the answer; a test sees its status too.
  writeFileSync(join(folder, '.curlrc'), 'write-out = "\\n%{http_code}"\nmax-time = 5\n');
  const document = await (await fetch(`${SHOP_URL}/openapi.json`)).json();
  for (const operation of Object.values(document.paths).flatMap(Object.values)) {
    samples.set(operation.operationId, operation['x-codeSamples'].find(({ label }) => label === 'curl').source);
  }
  admin = await Shopkeeper.logIn(SHOP_URL, { email: ADMIN_EMAIL, password: ADMIN_PASSWORD });
});
after(() => rmSync(folder, { recursive: true }));

const tried = new Set();

/** Runs an example as it is, and gives what it was answered. */
async function example(id, status, more = {}) {
  tried.add(id);
  const { stdout } = await run('bash', ['-c', samples.get(id)], { env: { ...variables, ...more } }).catch((error) => error);
  const [, body, code] = /^([^]*)\n(\d{3})$/.exec(stdout);
  assert.equal(Number(code), status, `${id}: ${body}`);
  return body.startsWith('{') ? JSON.parse(body) : body;
}

const as = (token) => ({ SHOP_TOKEN: token });

test('from registering to an order', async () => {
  ada = await example('register', 201).catch(() => example('login', 200)); // Of an earlier run.
  ada = await example('login', 200);
  variables.USER_ID = ada.user.id;
  const product = await example('createProduct', 201, as(admin.token));
  variables.PRODUCT_ID = product.id;
  const order = await example('createOrder', 201, as(ada.token));
  assert.equal(order.items[0].product_id, product.id);
  variables.ORDER_ID = order.id;
  const events = await example('getOrderEvents', 200, as(ada.token));
  assert.match(events, /event: ?status/);
});

test('everything that is read', async () => {
  for (const id of ['listProducts', 'getProduct', 'listCategories', 'getProblems', 'getProblem', 'getHealthz', 'getReadyz']) {
    await example(id, 200);
  }
  for (const id of ['listOrders', 'getOrder', 'getUsersMe', 'getUsersMeSessions', 'getUsersMeMfa']) await example(id, 200, as(ada.token));
  for (const id of ['listUsers', 'getUser', 'listAudit', 'listProductStockMovements', 'getFlow', 'listDeadLetters']) await example(id, 200, as(admin.token));
});

test('everything that is changed', async () => {
  assert.equal((await example('updateProduct', 200, as(admin.token))).price, 12.5);
  await example('postProductStock', 200, as(admin.token));
  assert.equal((await example('putUsersMe', 200, as(ada.token))).name, 'Ada Lovelace');
  await example('updateOrder', 200, as(admin.token));
  await example('deleteProduct', 200, as(admin.token));
  // The code of the example is nobody's: what is right about it is that it is refused as a code.
  await example('postUsersMeMfa', 200, as(ada.token));
  assert.equal((await example('postUsersMeMfaConfirm', 403, as(ada.token))).type, '/problems/wrong-mfa-code');
  await example('deleteUsersMeMfa', 409, as(ada.token));
  await example('deleteUserMfa', 409, as(admin.token));
  await example('postDeadLettersRedrive', 200, as(admin.token));
  // An account of its own: this makes an admin of it.
  const { user } = await (await fetch(`${SHOP_URL}/auth/register`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `examples-${randomUUID().slice(0, 13)}@shop.example`, password: ADA.password }),
  })).json();
  assert.equal((await example('updateUser', 200, { ...as(admin.token), USER_ID: user.id })).role, 'admin');
});

test('sessions', async () => {
  const refreshed = await example('refresh', 200, { REFRESH_TOKEN: ada.refresh_token });
  await example('logout', 204, { REFRESH_TOKEN: refreshed.refresh_token });
  const first = await example('login', 200);
  const { items } = await example('getUsersMeSessions', 200, as(first.token));
  const second = await example('login', 200);
  await example('deleteUsersMeSession', 204, { ...as(second.token), SESSION_ID: items.find(({ current }) => current).id });
  await example('deleteUsersMeSessions', 204, as(second.token));
});

test('no example is left out', () => {
  assert.deepEqual([...samples.keys()].filter((id) => !tried.has(id)), []);
});

test('the first steps of the page run as they stand there', async () => {
  await admin.add({ name: 'Cup of the documentation', price: 3, stock: 50 });
  const page = await (await fetch(`${SHOP_URL}/docs`)).text();
  const step = (name) => new RegExp(`<code data-start="${name}">([^]*?)</code>`).exec(page)[1].replace(/<[^>]*>/g, '')
    .replaceAll('&#60;', '<').replaceAll('&#62;', '>').replaceAll('&#34;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>').replaceAll('&amp;', '&').replaceAll('&#38;', '&');
  const steps = [
    step('first').replace(/SHOP_URL=\S+/, `SHOP_URL=${SHOP_URL}`),
    // Somebody is registered as Ada by now.
    step('flow').replace('ada@', `ada-${randomUUID().slice(0, 8)}@`),
    step('client'),
  ].join('\n');
  const quiet = { ...process.env, HOME: folder, CURL_HOME: '/nonexistent' };
  const { stdout } = await run('bash', ['-c', `${steps}\n`], { env: quiet, cwd: folder }).catch((error) => error);
  assert.match(stdout, /event: ?status/);
  assert.match(stdout, /"status": ?"confirmed"/);
  assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('ts') || name.endsWith('js')).sort(),
    ['operations.mjs', 'schema.d.mts', 'shop.d.mts', 'shop.mjs']);
});
