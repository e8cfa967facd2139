// The client of the API. What it can call, and how, is in operations.mjs; the types are in shop.d.mts.
import { operations } from './operations.mjs';

/** A session is refreshed so long before its token ends, in milliseconds. */
const EARLY = 10_000;
/** A call that would wait longer than that for its turn, in milliseconds and in all, is better told so. */
const LONGEST_WAIT = 20_000;
const IN_FLIGHT = '/problems/idempotency-key-in-flight';
const INVALID_TOKEN = '/problems/invalid-token';
/** So often a call is sent again because of the session it was sent with. */
const MOST_SESSIONS = 2;

/** What the shop has refused: a problem document (RFC 9457). */
export class ShopProblem extends Error {
  constructor(problem, response) {
    super(problem.detail ?? problem.title ?? `the shop answered ${response.status}`);
    this.name = 'ShopProblem';
    this.type = problem.type ?? 'about:blank';
    this.title = problem.title ?? response.statusText;
    this.status = response.status;
    this.errors = problem.errors ?? [];
    this.traceId = problem.trace_id;
    this.response = response;
  }

  /** After so many seconds another try makes sense. */
  get retryAfter() {
    return Number(this.response.headers.get('retry-after')) || undefined;
  }
}

/** There was no answer, or it broke off: what was asked for may be done or not. */
export class ShopUnreachable extends Error {
  constructor(cause) {
    super(`the shop did not answer: ${cause.message}`, { cause });
    this.name = 'ShopUnreachable';
  }
}

/** Not `randomUUID`, which browsers have over HTTPS only. */
export const newIdempotencyKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

export function createShop(options = {}) {
  const connection = new Connection(options);
  const shop = {
    get session() { return connection.session; },
    fetch: (method, path, request) => connection.send({ method, path, ...request }),
    call: (id, input) => connection.call(operations[id], input),
    forget: () => connection.forget(),
    async *each(id, input = {}) {
      let cursor = '';
      do {
        const list = await shop[id]({ ...input, query: { ...input.query, cursor } });
        yield* list.items;
        cursor = list.next;
      } while (cursor);
    },
  };
  for (const [id, operation] of Object.entries(operations)) {
    shop[id] = operation.events
      ? (input) => connection.events(operation, input)
      : async (input) => (await connection.call(operation, input)).data;
  }
  const trade = ({ body = connection.ticket(), ...input } = {}) => ({ ...input, body });
  for (const id of ['login', 'register']) {
    const call = shop[id];
    shop[id] = async (input) => connection.open(await call(input));
  }
  const { logout, refresh } = shop;
  shop.refresh = async (input) => (input ? connection.open(await refresh(trade(input))) : connection.refresh());
  shop.logout = async (input) => {
    await logout(trade(input));
    connection.close();
  };
  return shop;
}

class Connection {
  #refreshing;

  constructor({
    url = '', token, session, onSession, fetch = globalThis.fetch, attempts = 3, timeout = 30_000,
    exclusively = (refresh) => refresh(), authorize = (problem) => this.#authorize(problem),
  }) {
    Object.assign(this, { url: url.replace(/\/$/, ''), fetch, attempts, timeout, onSession, exclusively, authorize });
    this.session = session ?? (token ? { token } : undefined);
  }

  /** The session that logging in, registering or refreshing has answered with. */
  open(answer) {
    const { token, refresh_token, expires_in, user } = answer;
    this.session = { token, refresh_token, expires_at: Date.now() + expires_in * 1000, user };
    this.onSession?.(this.session);
    return answer;
  }

  forget() {
    this.session = undefined;
  }

  close() {
    this.forget();
    this.onSession?.(undefined);
  }

  /** What a session is refreshed with: its refresh token, or nothing where that is a cookie. */
  ticket() {
    const { refresh_token } = this.session ?? {};
    return refresh_token ? { refresh_token } : {};
  }

  async call(operation, { path = {}, query = {}, header = {}, body, idempotencyKey, signal, authenticated, attempts, cache } = {}) {
    const headers = { ...header };
    if (operation.key) headers['Idempotency-Key'] ??= idempotencyKey ?? newIdempotencyKey();
    let data;
    const read = async (answer) => { data = await json(answer); };
    const response = await this.send({
      method: operation.method,
      path: target(operation.path, path, query),
      headers,
      body,
      signal: signal ?? null,
      anonymous: !operation.token && !authenticated,
      endless: operation.events,
      attempts,
      cache,
    }, operation.events ? undefined : read);
    if (!response.ok && response.status !== 304) throw new ShopProblem(await json(response).catch(() => undefined) ?? {}, response);
    return { data, response };
  }

  async *events(operation, input) {
    const { response } = await this.call(operation, input);
    let event = {};
    for await (const line of lines(response.body, input?.signal)) {
      if (line === '') {
        if (event.data !== undefined) yield { event: event.event ?? 'message', data: event.data };
        event = {};
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (field === 'data' && event.data !== undefined) event.data += `\n${value}`;
      else if (field) event[field] = value;
    }
  }

  /**
   * Sends a request with the token, and again where that is safe: with a new token when this one has ended, and after a
   * while when the shop asks for that. What breaks off while `read` takes it is as if nothing had come.
   */
  async send(request, read = async () => {}) {
    const { attempts = this.attempts, signal } = request;
    const key = request.headers?.['Idempotency-Key'];
    const repeatable = request.method === 'GET' || key !== undefined;
    let sessions = 0;
    let patience = LONGEST_WAIT;
    for (let attempt = 1; ; attempt += 1) {
      if (!request.anonymous) await this.authorize();
      const sent = this.session?.token;
      let response;
      try {
        response = await answered(this.once(request, sent), signal);
        if (response.ok) await answered(read(response), signal);
      } catch (error) {
        if (!repeatable || attempt >= attempts || signal?.aborted) throw error;
        const delay = wait(attempt);
        if (delay > patience) throw error;
        patience -= delay;
        await pause(delay, signal);
        continue;
      }
      if (response.ok || response.status === 304) return response;
      const problem = await json(response.clone()).catch(() => undefined) ?? {};
      if (response.status === 401 && !request.anonymous && sessions < MOST_SESSIONS) {
        sessions += 1;
        // Another call may have seen to it meanwhile.
        const renewed = this.session?.token !== sent || await this.authorize(new ShopProblem(problem, response));
        if (renewed !== false) continue;
      }
      const later = response.status === 429
        || (repeatable && (response.status === 503 || problem.type === IN_FLIGHT));
      const delay = Math.max(wait(attempt), Number(response.headers.get('retry-after') ?? 0) * 1000);
      if (!later || attempt >= attempts || delay > patience) return response;
      patience -= delay;
      await pause(delay, signal);
    }
  }

  /** Sees to a session by refreshing it: `false` where there is none that could be, or it would not help. */
  async #authorize(problem) {
    if (!this.session?.expires_at) return false;
    if (problem ? problem.type !== INVALID_TOKEN : this.session.expires_at - EARLY >= Date.now()) return false;
    await this.refresh();
    return true;
  }

  once({ method, path, headers, body, signal, anonymous, endless, cache }, token) {
    const sent = new Headers(headers);
    if (token && !anonymous && !sent.has('authorization')) sent.set('authorization', `Bearer ${token}`);
    if (body !== undefined && !sent.has('content-type')) sent.set('content-type', 'application/json');
    const limits = [signal, endless ? undefined : AbortSignal.timeout(this.timeout)].filter(Boolean);
    const { fetch } = this; // Called as itself: a browser's is no method of anything else.
    return fetch(this.url + path, {
      method,
      headers: sent,
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.any(limits),
      ...(cache && { cache }),
    });
  }

  /** Trades the refresh token, once however many calls are waiting for it: a spent one that comes again ends the session. */
  refresh() {
    this.#refreshing ??= this.exclusively(() => this.#refresh()).finally(() => { this.#refreshing = undefined; });
    return this.#refreshing;
  }

  async #refresh() {
    const response = await answered(this.once({
      method: 'POST', path: operations.refresh.path, body: this.ticket(), anonymous: true,
    }));
    if (response.ok) return this.open(await answered(json(response)));
    if (response.status === 401) this.close();
    throw new ShopProblem(await json(response) ?? {}, response);
  }
}

function target(path, parameters, query) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => {
    if (parameters[name] === undefined || parameters[name] === '') throw new TypeError(`path.${name} is missing`);
    return encodeURIComponent(parameters[name]);
  });
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return pairs.length ? `${filled}?${new URLSearchParams(pairs)}` : filled;
}

/** What comes, or that nothing has; who has given up is told so. */
async function answered(coming, signal) {
  try {
    return await coming;
  } catch (error) {
    throw signal?.aborted ? error : new ShopUnreachable(error);
  }
}

async function json(response) {
  const type = response.headers.get('content-type') ?? '';
  return /[/+]json\b/.test(type) ? response.json() : undefined;
}

async function* lines(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await answered(reader.read(), signal);
      if (done) return;
      const whole = (rest + value).split(/\r\n|\n|\r/);
      rest = whole.pop();
      yield* whole;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Twice as long each time, and never the same for all that wait. */
const wait = (attempt) => 100 * 2 ** attempt * (0.5 + Math.random() / 2);

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener('abort', stop); resolve(); }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
