// The client of the API. What it can call, and how, is in operations.mjs; the types are in shop.d.mts.
import { operations } from './operations.mjs';

/** A session is refreshed so long before its token ends, in milliseconds. */
const EARLY = 10_000;
/** Who is told to come back later than that, in milliseconds, is better told at once. */
const LONGEST_WAIT = 20_000;
const IN_FLIGHT = '/problems/idempotency-key-in-flight';
const INVALID_TOKEN = '/problems/invalid-token';

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
}

export function createShop(options = {}) {
  const connection = new Connection(options);
  const shop = {
    get session() { return connection.session; },
    fetch: (method, path, request) => connection.send({ method, path, ...request }),
    call: (id, input) => connection.call(operations[id], input),
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
  for (const id of ['login', 'register', 'refresh']) {
    const call = shop[id];
    shop[id] = async (input) => {
      const answer = await call(id === 'refresh' ? trade(input) : input);
      connection.open(answer);
      return answer;
    };
  }
  const { logout } = shop;
  shop.logout = async (input) => {
    await logout(trade(input));
    connection.close();
  };
  return shop;
}

class Connection {
  #refreshing;

  constructor({ url = '', token, session, onSession, fetch = globalThis.fetch, attempts = 3, timeout = 30_000 }) {
    Object.assign(this, { url: url.replace(/\/$/, ''), fetch, attempts, timeout, onSession });
    this.session = session ?? (token ? { token } : undefined);
  }

  /** The session that logging in, registering or refreshing has answered with. */
  open({ token, refresh_token, expires_in }) {
    this.session = { token, refresh_token, expires_at: Date.now() + expires_in * 1000 };
    this.onSession?.(this.session);
  }

  close() {
    this.session = undefined;
    this.onSession?.(undefined);
  }

  /** What a session is refreshed with: its refresh token, or nothing where that is a cookie. */
  ticket() {
    const { refresh_token } = this.session ?? {};
    return refresh_token ? { refresh_token } : {};
  }

  async call(operation, { path = {}, query = {}, header = {}, body, idempotencyKey, signal } = {}) {
    const headers = { ...header };
    if (operation.key) headers['Idempotency-Key'] ??= idempotencyKey ?? crypto.randomUUID();
    const response = await this.send({
      method: operation.method,
      path: target(operation.path, path, query),
      headers,
      body,
      signal: signal ?? null,
      anonymous: !operation.token,
      endless: operation.events,
    });
    if (!response.ok && response.status !== 304) throw new ShopProblem(await json(response) ?? {}, response);
    return { data: operation.events ? undefined : await json(response), response };
  }

  async *events(operation, input) {
    const { response } = await this.call(operation, input);
    let event = {};
    for await (const line of lines(response.body)) {
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
   * while when the shop asks for that.
   */
  async send(request) {
    const key = request.headers?.['Idempotency-Key'];
    const repeatable = request.method === 'GET' || key !== undefined;
    let refreshed = false;
    for (let attempt = 1; ; attempt += 1) {
      if (!request.anonymous && this.session?.expires_at - EARLY < Date.now()) await this.refresh();
      const sent = this.session?.token;
      let response;
      try {
        response = await this.once(request, sent);
      } catch (error) {
        if (!repeatable || attempt >= this.attempts || request.signal?.aborted) throw error;
        await pause(wait(attempt), request.signal);
        continue;
      }
      if (response.ok || response.status === 304) return response;
      const type = (await json(response.clone()).catch(() => undefined))?.type;
      if (response.status === 401 && type === INVALID_TOKEN && !refreshed && this.session?.expires_at) {
        refreshed = true;
        if (this.session.token === sent) await this.refresh();
        continue;
      }
      const later = response.status === 429
        || (repeatable && (response.status === 503 || type === IN_FLIGHT));
      const delay = Math.max(wait(attempt), Number(response.headers.get('retry-after') ?? 0) * 1000);
      if (!later || attempt >= this.attempts || delay > LONGEST_WAIT) return response;
      await pause(delay, request.signal);
    }
  }

  once({ method, path, headers, body, signal, anonymous, endless }, token) {
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
    });
  }

  /** Trades the refresh token, once however many calls are waiting for it: a spent one that comes again ends the session. */
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => { this.#refreshing = undefined; });
    return this.#refreshing;
  }

  async #refresh() {
    const response = await this.once({ method: 'POST', path: operations.refresh.path, body: this.ticket(), anonymous: true });
    if (response.ok) return this.open(await json(response));
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

async function json(response) {
  const type = response.headers.get('content-type') ?? '';
  return /[/+]json\b/.test(type) ? response.json() : undefined;
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
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
