// The shop's client as the pages have it: with who is logged in. The access token is in this page's memory and nowhere else;
// the refresh token is a cookie that no script can read. Only a hint of who it was is kept, so that a page can say a name.
import { ShopProblem, createShop } from '../../client/shop.mjs';

const HINT = 'shop.account';
const DEVICE = 'shop.device';
const REFRESHING = 'shop.refresh';
/** Renewed so many milliseconds before it expires. */
const EARLY = 20_000;
const RECENT_LOGIN = '/problems/recent-login-required';

let ended = async () => false;

/**
 * Calls by their names in the API, on behalf of whoever is logged in: asks to log in where nobody is, or not any more, and for
 * the password where the login was too long ago. Nothing is tried again behind a person's back: they would look at a button
 * that does nothing for as long as the shop says, instead of being told and choosing. What is worth the wait, and shows that
 * it is going on, says so (`attempts`): buying, and importing a file.
 */
export const shop = createShop({
  attempts: 1,
  authorize,
  onSession: (session) => { if (session) remember(session.user); },
  // One tab at a time: each takes the cookie that the one before was given.
  exclusively: (refresh) => (navigator.locks ? navigator.locks.request(REFRESHING, refresh) : refresh()),
});

async function authorize(problem) {
  if (problem?.type === RECENT_LOGIN) return logInAgain(true);
  // Ended before its time: the cookie may still be good for another.
  if (problem) shop.forget();
  if (!(await resume())) await logInAgain();
}

/** Whether there is a session now, without asking anybody to log in. */
export async function resume() {
  if (shop.session && Date.now() < shop.session.expires_at - EARLY) return true;
  if (!hint()) return false;
  try {
    await shop.refresh();
    return true;
  } catch (error) {
    if (!(error instanceof ShopProblem) || ![401, 403, 422].includes(error.status)) throw error;
    shop.forget();
    return false;
  }
}

/**
 * What to do where a session has ended, or (called with true) where what is wanted needs a login of the last minutes:
 * resolves to whether there is another.
 */
export const whenEnded = (ask) => { ended = ask; };

let asking;

async function logInAgain(recent = false) {
  asking ??= ended(recent).finally(() => { asking = undefined; });
  if (!(await asking)) throw new DOMException('nobody has logged in', 'AbortError');
}

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
  if (idOf(oldValue) !== idOf(newValue)) shop.forget();
  dispatchEvent(new Event('account'));
});

export const device = () => localStorage.getItem(DEVICE) ?? undefined;

const keepDevice = ({ device_token: token }) => { if (token) localStorage.setItem(DEVICE, token); };

export async function logIn(credentials) {
  const end = await endOfCurrent();
  keepDevice(await shop.login({ body: { ...credentials, device_token: device(), cookie: true } }));
  // The one before has no cookie any more, and would only stand in the list of sessions.
  end?.().catch(() => {});
}

/** What ends the session that is open now; nothing where none is, or it can't be told. */
async function endOfCurrent() {
  const { token, expires_at: until } = shop.session ?? {};
  if (!token || Date.now() >= until) return undefined;
  // With this token, and no other in its place.
  const own = createShop({ token, attempts: 1 });
  try {
    const { items } = await own.getUsersMeSessions();
    const { id } = items.find(({ current }) => current) ?? {};
    return id && (() => own.deleteUsersMeSession({ path: { id } }));
  } catch {
    return undefined;
  }
}

export async function register(account) {
  keepDevice(await shop.register({ body: { ...account, cookie: true } }));
}

export async function logOut() {
  try {
    await shop.logout();
  } catch (error) {
    // Without a session it has ended already.
    if (!(error instanceof ShopProblem) || error.status >= 500) throw error;
  }
  forget();
}

export function forget() {
  shop.forget();
  remember(undefined);
}
