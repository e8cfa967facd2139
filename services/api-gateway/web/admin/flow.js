// What moves through the shop at this moment, and what waits: orders, outboxes, the queue. Looked at every two seconds for as
// long as somebody sees it.
import { failure, h, notice } from '../shop/elements.js';
import { t } from '../shop/texts.js';
import { shop } from '../shop/session.js';
import { statusText } from '../shop/order-page.js';
import { deadLetters } from './dead-letters.js';
import { trend } from './graph.js';
import { table } from './table.js';

const EVERY = 2_000;
/** Two minutes. */
const ROOM = 61;

/** Seconds as people say them. */
function age(seconds) {
  if (seconds < 1) return t('admin.flow.age.none');
  if (seconds < 120) return t('admin.flow.age.seconds', Math.round(seconds));
  if (seconds < 7_200) return t('admin.flow.age.minutes', Math.round(seconds / 60));
  return t('admin.flow.age.hours', Math.round(seconds / 3_600));
}

const rate = (number) => (number >= 10 ? String(Math.round(number)) : number.toFixed(1));
const unknown = '–';

function tile(name) {
  const number = h('span', { class: 'tile-number' });
  const more = h('span', { class: 'tile-more' });
  const element = h('li', { class: 'tile' }, number, h('span', {}, t(`admin.flow.${name}`)), more);
  const tell = (value, text, alarming = false) => {
    number.textContent = value ?? unknown;
    more.textContent = value === undefined ? t('admin.flow.silent') : text ?? '';
    element.classList.toggle('tile-alarming', alarming);
  };
  return { element, tell };
}

export async function show(main, { content, signal }) {
  const tiles = { rate: tile('rate'), pending: tile('pending'), outbox: tile('outbox'), queue: tile('queue'), dead: tile('dead') };
  const [silent, line, outcomes, outboxes, letters] = Array.from({ length: 5 }, () => h('div', {}));
  const seen = [];
  let dead;

  function tellOrders(orders) {
    const placed = orders?.placed.reduce((sum, { orders: count }) => sum + count, 0);
    const perSecond = orders && placed / orders.window_seconds;
    seen.push(perSecond ?? 0);
    if (seen.length > ROOM) seen.shift();
    tiles.rate.tell(perSecond && rate(perSecond), orders && t('admin.flow.window', orders.window_seconds));
    const oldest = orders?.oldest_pending_at && (Date.now() - Date.parse(orders.oldest_pending_at)) / 1_000;
    tiles.pending.tell(orders?.pending, oldest ? t('admin.flow.oldest', age(oldest)) : undefined, oldest > 60);
    line.replaceChildren(trend(seen, { room: ROOM, first: t('admin.flow.ago'), label: t('admin.flow.graph', rate(perSecond ?? 0)) }));
    outcomes.replaceChildren(placed
      ? h('p', { class: 'small' }, t('admin.flow.became', orders.window_seconds), ' ', orders.placed.map(({ status, orders: count }) => `${count} ${statusText(status)}`).join(', '))
      : h('p', { class: 'small' }, t('admin.flow.quiet')));
  }

  function tellOutboxes(backlogs) {
    const oldest = Math.max(0, ...backlogs.map(({ oldest_seconds: seconds }) => seconds));
    const total = backlogs.reduce((sum, { events }) => sum + events, 0);
    tiles.outbox.tell(backlogs.length ? total : undefined, total ? t('admin.flow.oldest', age(oldest)) : undefined, oldest > 30);
    const { element, add } = table(t('admin.flow.outboxes'), [
      { title: t('admin.flow.service'), kind: 'main-cell', cell: ({ service }) => service },
      { title: t('admin.flow.outbox'), kind: 'number', cell: ({ events }) => String(events) },
      { title: t('admin.flow.age'), kind: 'number', cell: ({ events, oldest_seconds: seconds }) => (events ? age(seconds) : undefined) },
      { title: t('admin.flow.aside'), kind: 'number', cell: ({ set_aside: aside }) => String(aside) },
    ]);
    add(backlogs);
    outboxes.replaceChildren(h('div', { class: 'sheet' }, element),
      backlogs.some(({ set_aside: aside }) => aside > 0) && h('p', { class: 'small' }, t('admin.flow.aside.advice')) || '');
  }

  function tellQueue(queue) {
    tiles.queue.tell(queue?.messages);
    tiles.dead.tell(queue?.dead_letters, undefined, queue?.dead_letters > 0);
    // Theirs is a list that people press buttons in: it is shown anew where it has become another, not each time.
    if (queue && queue.dead_letters !== dead) {
      dead = queue.dead_letters;
      deadLetters(letters, { signal, redriven: look });
    }
  }

  async function look() {
    const flow = await shop.getFlow({ signal, cache: 'no-store' });
    if (signal.aborted) return;
    tellOrders(flow.orders);
    tellOutboxes(flow.outboxes);
    tellQueue(flow.queue);
    silent.replaceChildren(flow.unavailable.length ? notice(t('admin.flow.unavailable', flow.unavailable.join(', ')), t('admin.flow.unavailable.advice')) : '');
  }

  async function keepLooking() {
    while (!signal.aborted) {
      await seenAgain(signal);
      try {
        await look();
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 403 || error.name === 'AbortError') throw error;
        silent.replaceChildren(failure(t('admin.list.failed'), error));
      }
      await new Promise((done) => { setTimeout(done, EVERY); });
    }
  }

  await look();
  if (signal.aborted) return;
  content.replaceChildren(
    silent,
    h('ul', { class: 'tiles' }, Object.values(tiles).map(({ element }) => element)),
    h('section', { class: 'panel', 'aria-labelledby': 'flow-orders' }, h('h2', { id: 'flow-orders' }, t('admin.flow.rate')), line, outcomes),
    h('section', { class: 'flow-part', 'aria-labelledby': 'flow-dead' }, h('h2', { id: 'flow-dead' }, t('admin.flow.dead')), letters),
    h('section', { class: 'flow-part', 'aria-labelledby': 'flow-outboxes' }, h('h2', { id: 'flow-outboxes' }, t('admin.flow.outboxes')), outboxes));
  await new Promise((done) => { setTimeout(done, EVERY); });
  await keepLooking();
}

/** At once where the page is seen; otherwise when it is again, or is left. */
function seenAgain(signal) {
  if (!document.hidden) return undefined;
  return new Promise((done) => {
    const ends = new AbortController();
    const end = () => { ends.abort(); done(); };
    document.addEventListener('visibilitychange', () => { if (!document.hidden) end(); }, { signal: ends.signal });
    signal.addEventListener('abort', end, { signal: ends.signal });
  });
}
