// Going from page to page without leaving this one, where the browser has the Navigation API; without it each page is
// loaded whole, and everything works as well. What is shown is the gateway's own page either way.
import { ShopUnreachable } from '../../client/shop.mjs';
import { failure } from './elements.js';
import { t } from './texts.js';

const BY_TYPING = 'typed';

const isOfShop = (path) =>
  path === '/' || (path.startsWith('/shop/') && !path.startsWith('/shop/assets/') && !path.startsWith('/shop/pictures/'));

/** The document at that address. No text becomes markup here: the browser parses what it loads itself. */
function load(url, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open('GET', url);
    request.responseType = 'document';
    request.timeout = 20_000;
    request.onload = () => (request.responseXML?.getElementById('main') ? done(request) : failed(new Error(`${request.status}`)));
    request.onerror = request.ontimeout = () => failed(new ShopUnreachable(new Error('no page came')));
    request.onabort = () => failed(new DOMException('another page is wanted', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send();
  });
}

const program = (of) => of.querySelector('script[type=module]')?.getAttribute('src');

/**
 * Calls `show` with each page that comes, its `main` being in place. `is` says of a path whether the page there is of this
 * program, and `parts` are the ids of what differs from page to page.
 */
export function follow(show, { is = isOfShop, parts = ['main', 'languages'] } = {}) {
  if (!('navigation' in window)) return;
  const isPage = (url) => url.origin === location.origin && is(url.pathname) && !url.searchParams.has('lang');
  navigation.addEventListener('navigate', (event) => {
    const url = new URL(event.destination.url);
    if (event.defaultPrevented || !event.canIntercept || event.hashChange || event.downloadRequest !== null || event.formData ||
        event.navigationType === 'reload' || !isPage(url)) return;
    const typed = event.info === BY_TYPING;
    const sorted = document.activeElement?.id === 'sort';
    event.intercept({
      focusReset: 'manual',
      scroll: typed ? 'manual' : 'after-transition',
      handler: () => replace(url, event.signal, { typed, sorted, parts }, show),
    });
  });
}

async function replace(url, signal, how, show) {
  const { typed, sorted, parts } = how;
  document.documentElement.dataset.loading = '';
  try {
    const { responseXML: page } = await load(url, signal);
    if (program(page) !== program(document)) return location.reload();
    document.title = page.title;
    for (const id of parts) document.getElementById(id).replaceWith(page.getElementById(id));
    const search = document.getElementById('search');
    if (search && document.activeElement !== search) search.value = page.getElementById('search').value;
    const main = document.getElementById('main');
    if (sorted) document.getElementById('sort')?.focus();
    else if (!typed) main.focus({ preventScroll: true });
    show(main);
  } catch (error) {
    if (signal.aborted) return;
    const main = document.getElementById('main');
    main.replaceChildren(failure(t('error.page'), error, () => replace(url, signal, how, show)));
    main.dataset.view = 'failure';
    show(main);
  } finally {
    if (!signal.aborted) delete document.documentElement.dataset.loading;
  }
}

/**
 * What shows a page: by the script of its view, one page at a time, so that what is asked for a page that was left is given up.
 * `admit` says whether the page is to be shown at all. `told` gets what went wrong, and says whether it has told of it.
 */
export function viewer(views, { admit = () => true, told = (error) => console.error(error) } = {}) {
  let shown = new AbortController();
  return async function show(main) {
    shown.abort();
    shown = new AbortController();
    const { signal } = shown;
    const load = views[main.dataset.view];
    if (!load) return;
    const content = () => main.querySelector('[data-content]');
    const again = () => show(main);
    try {
      if (!(await admit(content(), again))) return;
      const view = await load();
      if (!signal.aborted) await view.show(main, { content: content(), signal });
    } catch (error) {
      if (signal.aborted || error.name === 'AbortError' || told(error, content())) return;
      content()?.replaceChildren(failure(t('error.page'), error, again));
    }
  };
}

/** Goes there, as by a link. */
export function go(path, { history = 'auto' } = {}) {
  if ('navigation' in window) navigation.navigate(path, { history });
  else if (history === 'replace') location.replace(path);
  else location.assign(path);
}

/** Searches as one types: one entry in the history for all that is typed in one go. */
export function searchAsTyped(form) {
  if (!('navigation' in window)) return;
  let waiting;
  let entry;
  form.elements.q.addEventListener('input', ({ target }) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const q = target.value.trim();
      if (q.length === 1) return;
      const history = entry && navigation.currentEntry.id === entry ? 'replace' : 'push';
      const { committed } = navigation.navigate(q ? `/?${new URLSearchParams({ q })}` : '/', { history, info: BY_TYPING });
      committed.then((made) => { entry = made.id; }, () => {});
    }, 250);
  });
  form.addEventListener('submit', () => clearTimeout(waiting));
}
