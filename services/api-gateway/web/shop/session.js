// Who is logged in, and calls on their behalf. The access token is in this page's memory and nowhere else; the refresh
// token is a cookie that no script can read. Only a hint of who it was is kept, so that a page can say a name.
import { has, t } from './texts.js';

const HINT = 'shop.account';
const DEVICE = 'shop.device';
const REFRESHING = 'shop.refresh';
/** Renewed so many milliseconds before it expires. */
const EARLY = 20_000;

let token;
let expires = 0;
let account;
let ended = async () => false;

/** Something that did not work, with what to say about it. */
export class Refusal extends Error {
  constructor(status, problem = {}, wait = undefined) {
    super(problem.detail ?? String(status));
    this.status = status;
    this.kind = (problem.type ?? '').split('/').pop();
    this.errors = problem.errors;
    this.wait = wait;
  }

  get advice() {
    const known = `error.kind.${this.kind}`;
    if (has(known)) return t(known);
    if (this.status === 429) return t('error.often', this.wait ?? 5);
    if (this.status === 503) return t('error.busy');
    if (this.status === 422) return t('error.fields');
    if (this.status === 409) return t('error.transition');
    return t('error.failed');
  }
}

/** There was no answer: it may be done or not. */
export class Unreachable extends Error {
  get advice() {
    return t('error.offline');
  }
}

/**
 * What to do where a session has ended, or (called with true) where what is wanted needs a login of the last minutes:
 * resolves to whether there is another.
 */
export const whenEnded = (ask) => { ended = ask; };

export function hint() {
  try {
    return JSON.parse(localStorage.getItem(HINT)) ?? undefined;
  } catch {
    return undefined;
  }
}

function remember(user) {
  if (user) localStorage.setItem(HINT, JSON.stringify({ id: user.id, name: user.name, email: user.email }));
  else localStorage.removeItem(HINT);
  dispatchEvent(new Event('account'));
}

// Another tab has logged out, or somebody else in.
addEventListener('storage', ({ key, oldValue, newValue }) => {
  const idOf = (value) => { try { return JSON.parse(value)?.id; } catch { return undefined; } };
  if (key !== HINT) return;
  if (idOf(oldValue) !== idOf(newValue)) token = undefined;
  dispatchEvent(new Event('account'));
});

async function send(method, path, { body, headers = {}, signal, cache } = {}) {
  const wanted = { method, signal, cache, headers: { ...headers }, credentials: 'same-origin' };
  if (body !== undefined) {
    wanted.headers['content-type'] = 'application/json';
    wanted.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, wanted);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable(error.message);
  }
  if (response.ok) return response;
  const wait = Number(response.headers.get('retry-after')) || undefined;
  throw new Refusal(response.status, await response.json().catch(() => ({})), wait);
}

async function read(response, signal) {
  if (response.status === 204) return undefined;
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    // It began, and broke off.
    throw new Unreachable(error.message);
  }
}

/** A call that anybody may make. */
export async function ask(method, path, options) {
  return read(await send(method, path, options), options?.signal);
}

function begin(session) {
  token = session.token;
  account = session.user;
  expires = Date.now() + session.expires_in * 1000;
  if (session.device_token) localStorage.setItem(DEVICE, session.device_token);
  remember(session.user);
  return session.user;
}

/** The account as the shop knew it when the session was opened or renewed last. */
export const who = () => account;

export const device = () => localStorage.getItem(DEVICE) ?? undefined;

export async function logIn(credentials) {
  const before = await current();
  const user = begin(await ask('POST', '/auth/login', { body: { ...credentials, device_token: device(), cookie: true } }));
  // It has no cookie any more, and would only stand in the list of sessions.
  if (before) send('DELETE', `/users/me/sessions/${before.id}`, before).catch(() => {});
  return user;
}

/** The session that is open now, with what ends it; none where there is none, or it can't be told. */
async function current() {
  if (!token || Date.now() >= expires) return undefined;
  const headers = { authorization: `Bearer ${token}` };
  try {
    const { items } = await ask('GET', '/users/me/sessions', { headers });
    const { id } = items.find((session) => session.current) ?? {};
    return id && { id, headers };
  } catch {
    return undefined;
  }
}

export async function register(account) {
  return begin(await ask('POST', '/auth/register', { body: { ...account, cookie: true } }));
}

export async function logOut() {
  try {
    await ask('POST', '/auth/logout', { body: {} });
  } catch (error) {
    // Without a session it has ended already.
    if (!(error instanceof Refusal) || error.status >= 500) throw error;
  }
  forget();
}

export function forget() {
  token = undefined;
  account = undefined;
  remember(undefined);
}

let refreshing;

// One tab at a time: each takes the cookie that the one before was given.
function refresh() {
  const renew = async () => begin(await ask('POST', '/auth/refresh', { body: {} }));
  refreshing ??= (navigator.locks ? navigator.locks.request(REFRESHING, renew) : renew())
    .finally(() => { refreshing = undefined; });
  return refreshing;
}

/** Whether there is a session now, without asking anybody to log in. */
export async function resume() {
  if (token && Date.now() < expires - EARLY) return true;
  if (!hint()) return false;
  try {
    await refresh();
    return true;
  } catch (error) {
    if (error instanceof Refusal && [401, 403, 422].includes(error.status)) {
      token = undefined;
      return false;
    }
    throw error;
  }
}

/**
 * A response to a call of whoever is logged in; asks to log in where nobody is, or not any more, and for the password where
 * the login was too long ago.
 */
export async function open(method, path, options = {}) {
  for (let attempt = 0; ; attempt++) {
    if (!(await resume())) await logInAgain();
    try {
      return await send(method, path, {
        ...options, headers: { ...options.headers, authorization: `Bearer ${token}` },
      });
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 401 || attempt > 1) throw error;
      if (error.kind === 'recent-login-required') await logInAgain(true);
      // Ended before its time: the cookie may still be good for another.
      else expires = 0;
    }
  }
}

let asking;

async function logInAgain(recent = false) {
  asking ??= ended(recent).finally(() => { asking = undefined; });
  if (!(await asking)) throw new DOMException('nobody has logged in', 'AbortError');
}

/** The same, with what it says. */
export async function call(method, path, options) {
  return read(await open(method, path, options), options?.signal);
}

/** The same, with the headers that came with it. */
export async function callWithHeaders(method, path, options) {
  const response = await open(method, path, options);
  return { headers: response.headers, body: await read(response, options?.signal) };
}
