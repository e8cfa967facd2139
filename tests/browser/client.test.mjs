// The client in TypeScript (services/api-gateway/client) against the shop.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { ShopProblem, ShopUnreachable, createShop, newIdempotencyKey } from '../../services/api-gateway/client/shop.mjs';

const { SHOP_URL: url, ADMIN_EMAIL, ADMIN_PASSWORD } = process.env;
const password = 'a horse that is correct';
const newcomer = () => ({ email: `client-${randomUUID().slice(0, 13)}@shop.example`, password });
let keeper;
let product;

/** A fetch that counts what is sent, and answers what `instead` gives rather than asking. */
function watched(instead = () => undefined) {
  const sent = [];
  const through = async (address, request) => {
    const seen = { method: request.method, path: new URL(address).pathname, headers: request.headers };
    sent.push(seen);
    return (await instead(seen, sent.length, () => fetch(address, request))) ?? fetch(address, request);
  };
  return { sent, fetch: through, to: (path) => sent.filter((request) => request.path === path) };
}

before(async () => {
  keeper = createShop({ url });
  await keeper.login({ body: { email: ADMIN_EMAIL, password: ADMIN_PASSWORD } });
  product = await keeper.createProduct({ body: { name: 'Cup of the client', price: 10.99, currency: 'EUR', stock: 1000 } });
});

test('from registering to an order that is confirmed', async () => {
  const shop = createShop({ url });
  const { user } = await shop.register({ body: newcomer() });
  assert.equal((await shop.getUsersMe()).id, user.id);
  const order = await shop.createOrder({ body: { items: [{ product_id: product.id, quantity: 2 }] } });
  assert.equal(order.total, 21.98);
  const statuses = [];
  for await (const { event, data } of shop.getOrderEvents({ path: { id: order.id } })) {
    assert.equal(event, 'status');
    statuses.push(JSON.parse(data).status);
    if (statuses.at(-1) !== 'pending') break;
  }
  assert.equal(statuses.at(-1), 'confirmed');
  await shop.logout();
  assert.equal(shop.session, undefined);
  await assert.rejects(shop.getUsersMe(), { name: 'ShopProblem', status: 401, type: '/problems/authentication-required' });
});

test('a refusal is a problem with each field at fault, and a path that is missing is none of the shop’s', async () => {
  await assert.rejects(keeper.createProduct({ body: { name: '', price: -1 } }), (problem) => {
    assert(problem instanceof ShopProblem);
    assert.equal(problem.status, 422);
    assert.deepEqual(problem.errors.map(({ field }) => field).sort(), ['name', 'price']);
    assert.match(problem.traceId, /^[0-9a-f]{32}$/);
    return true;
  });
  await assert.rejects(keeper.getProduct({ path: { id: '' } }), TypeError);
});

test('headers are sent and seen', async () => {
  const { data, response } = await keeper.call('getProduct', { path: { id: product.id } });
  const etag = response.headers.get('etag');
  const same = await keeper.call('getProduct', { path: { id: product.id }, header: { 'If-None-Match': etag } });
  assert.equal(same.response.status, 304);
  const change = { path: { id: data.id }, header: { 'If-Match': etag }, body: { price: 11 } };
  await keeper.updateProduct(change);
  await assert.rejects(keeper.updateProduct({ ...change, body: { price: 12 } }), { status: 412 });
});

test('a list is followed to its end', async () => {
  const ids = [];
  const query = { q: 'cup of the client', page_size: 2 };
  for (let made = 0; made < 4; made += 1) {
    await keeper.createProduct({ body: { name: `Cup of the client ${made}`, price: made, currency: 'EUR' } });
  }
  for await (const { id } of keeper.each('listProducts', { query })) ids.push(id);
  assert(ids.length >= 5, `${ids}`);
  assert.equal(new Set(ids).size, ids.length);
  let records = 0;
  for await (const { action } of keeper.each('listAudit', { query: { limit: 3 } })) {
    assert.match(action, /\./);
    records += 1;
    if (records === 7) break;
  }
  assert.equal(records, 7);
});

test('an answer that was lost is asked for again with the same key, and makes one order', async () => {
  let lost = 0;
  const line = watched(async ({ path, method }, _, ask) => {
    if (path !== '/orders' || method !== 'POST' || lost === 2) return undefined;
    lost += 1;
    await (await ask()).arrayBuffer();
    throw new TypeError('the connection was reset');
  });
  const shop = createShop({ url, fetch: line.fetch });
  await shop.register({ body: newcomer() });
  const order = await shop.createOrder({ body: { items: [{ product_id: product.id, quantity: 1 }] } });
  const keys = line.to('/orders').map(({ headers }) => headers.get('idempotency-key'));
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  const { items } = await shop.listOrders();
  assert.deepEqual(items.map(({ id }) => id), [order.id]);
  // Another call is another order, and what nobody could tell the repetition of is sent once.
  await shop.createOrder({ body: { items: [{ product_id: product.id, quantity: 1 }] } });
  assert.equal((await shop.listOrders()).items.length, 2);
});

test('what is not safe to repeat is sent once', async () => {
  const line = watched(({ method }) => {
    if (method === 'PATCH') throw new TypeError('the connection was reset');
  });
  const shop = createShop({ url, token: keeper.session.token, fetch: line.fetch });
  await assert.rejects(shop.updateProduct({ path: { id: product.id }, body: { price: 13 } }), (error) => {
    assert(error instanceof ShopUnreachable);
    assert(error.cause instanceof TypeError);
    return true;
  });
  assert.equal(line.sent.length, 1);
});

test('an answer that breaks off is none', async () => {
  const broken = () => new Response(new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"items": ['));
      controller.error(new TypeError('terminated'));
    },
  }), { headers: { 'content-type': 'application/json' } });
  const line = watched((_, number) => (number === 1 ? broken() : undefined));
  const shop = createShop({ url, fetch: line.fetch });
  assert((await shop.listProducts()).items.length > 0);
  assert.equal(line.sent.length, 2);
  await assert.rejects(createShop({ url, fetch: watched(broken).fetch, attempts: 1 }).listProducts(), { name: 'ShopUnreachable' });
});

test('a busy shop is asked again, no sooner than it says', async () => {
  const busy = (seconds) => new Response('{"type": "/problems/unavailable"}', {
    status: 503, headers: { 'content-type': 'application/problem+json', 'retry-after': `${seconds}` },
  });
  const line = watched((_, number) => (number === 1 ? busy(1) : undefined));
  const shop = createShop({ url, fetch: line.fetch });
  const begun = performance.now();
  await shop.listProducts();
  assert(performance.now() - begun >= 950);
  assert.equal(line.sent.length, 2);
  const later = createShop({ url, fetch: watched(() => busy(3600)).fetch });
  await assert.rejects(later.listProducts(), { status: 503, retryAfter: 3600 });
  // As often as the call says, whatever holds for the others.
  for (const [attempts, given] of [[1, {}], [2, { attempts: 2 }]]) {
    const always = watched(() => busy(0));
    await assert.rejects(createShop({ url, fetch: always.fetch, attempts: 1 }).listProducts(given), { status: 503, retryAfter: undefined });
    assert.equal(always.sent.length, attempts);
  }
});

test('a token that ends is refreshed once, for all that wait', async () => {
  const line = watched();
  const kept = [];
  const shop = createShop({ url, fetch: line.fetch, onSession: (session) => kept.push(session) });
  await shop.register({ body: newcomer() });
  const old = kept.at(-1);
  // As if its time were over.
  const again = createShop({ url, session: { ...old, expires_at: Date.now() }, fetch: line.fetch, onSession: (session) => kept.push(session) });
  const answers = await Promise.all([again.getUsersMe(), again.listOrders(), again.getUsersMeSessions()]);
  assert.equal(answers.length, 3);
  assert.equal(line.to('/auth/refresh').length, 1);
  assert.notEqual(kept.at(-1).refresh_token, old.refresh_token);
  // As if the shop had ended it before its time: it is told, and says the same.
  const tampered = createShop({ url, session: { ...kept.at(-1), token: 'x.y.z' }, fetch: line.fetch, onSession: (session) => kept.push(session) });
  await Promise.all([tampered.getUsersMe(), tampered.listOrders()]);
  assert.equal(line.to('/auth/refresh').length, 2);
  // A session that is over is told of, and not kept.
  await tampered.deleteUsersMeSessions();
  const over = createShop({ url, session: { ...kept.at(-1), expires_at: Date.now() }, onSession: (session) => kept.push(session) });
  await assert.rejects(over.getUsersMe(), { status: 401 });
  assert.equal(kept.at(-1), undefined);
});

test('what is ended by its caller is not repeated', async () => {
  const line = watched();
  const shop = createShop({ url, fetch: line.fetch });
  await assert.rejects(shop.listProducts({ signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.equal(line.sent.length, 1);
});

test('a session is seen to in the way of whoever has the client', async () => {
  const asked = [];
  const line = watched();
  const credentials = newcomer();
  const shop = createShop({
    url,
    fetch: line.fetch,
    authorize: async (problem) => {
      asked.push(problem?.type);
      if (problem) shop.forget();
      if (!shop.session) await shop.login({ body: credentials });
    },
  });
  await createShop({ url }).register({ body: credentials });
  // Nobody was logged in; it is asked before anything is sent.
  assert.equal((await shop.getUsersMe()).email, credentials.email);
  assert.deepEqual(asked, [undefined]);
  assert.deepEqual(line.sent.map(({ path }) => path), ['/auth/login', '/users/me']);
  assert.equal(shop.session.user.email, credentials.email);
  // What needs no session asks for none.
  await shop.listProducts();
  assert.equal(asked.length, 1);
  // The shop has ended the session: the call is sent again with the next one.
  await createShop({ url, token: shop.session.token }).deleteUsersMeSessions();
  await new Promise((after) => { setTimeout(after, 1100); });
  assert.equal((await shop.getUsersMe()).email, credentials.email);
  assert.match(asked[2], /^\/problems\/.*token/);
  // Who gives up is heard, and one that never has a good session is told so, not asked for ever.
  const nobody = createShop({ url, authorize: async () => { throw new Error('nobody'); } });
  await assert.rejects(nobody.getUsersMe(), /nobody/);
  let times = 0;
  const never = createShop({ url, authorize: async () => { times += 1; } });
  await assert.rejects(never.getUsersMe(), { status: 401 });
  assert.equal(times, 5);
});

test('a refresh waits for its turn, and a session that is dropped is not told of', async () => {
  const line = watched();
  const told = [];
  let turn;
  const wait = new Promise((come) => { turn = come; });
  const shop = createShop({
    url, fetch: line.fetch, onSession: (session) => told.push(session), exclusively: async (refresh) => { await wait; return refresh(); },
  });
  await shop.register({ body: newcomer() });
  const both = Promise.all([shop.refresh(), shop.refresh()]);
  await new Promise((after) => { setTimeout(after, 50); });
  assert.equal(line.to('/auth/refresh').length, 0);
  turn();
  const [one, other] = await both;
  assert.equal(one.token, other.token);
  assert.equal(line.to('/auth/refresh').length, 1);
  assert.equal(told.length, 2);
  shop.forget();
  assert.equal(shop.session, undefined);
  assert.equal(told.length, 2);
});

test('what needs no token is sent without, unless it is wanted with it, and the cache is used as told', async () => {
  const sent = [];
  const shop = createShop({ url, token: keeper.session.token, fetch: (address, request) => { sent.push(request); return fetch(address, request); } });
  await shop.getProduct({ path: { id: product.id } });
  await shop.getProduct({ path: { id: product.id }, authenticated: true, cache: 'no-store' });
  assert.deepEqual(sent.map(({ headers, cache }) => [headers.has('authorization'), cache]), [[false, undefined], [true, 'no-store']]);
});

test('keys are no others’', () => {
  const keys = Array.from({ length: 100 }, newIdempotencyKey);
  assert.equal(new Set(keys).size, keys.length);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});
