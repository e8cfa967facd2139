// Numbers over time, as a line. What a line shows stands beside or beneath it as text too.
import { h, svg } from '../shop/elements.js';
import { time } from '../shop/format.js';
import { t } from '../shop/texts.js';

const WIDTH = 600;
const HEIGHT = 160;
/** So many movements can still be told apart as points. */
const POINTS = 60;

/** A round number that is no smaller, and whose half is one too. */
function rounded(most) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return Math.max(4, [1, 2, 4, 6, 8, 10].map((step) => step * unit).find((step) => step >= most));
}

const thin = { 'vector-effect': 'non-scaling-stroke' };

/** A line over an area, from `first` until now; 0 is at the bottom, and `top` at the top. */
function drawn({ line, end, top, first, label, marks = [] }) {
  const levels = [0, top / 2, top];
  const y = (level) => HEIGHT - (level / top) * HEIGHT;
  const drawing = svg('svg', { class: 'graph', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    ...levels.map((level) => svg('path', { class: 'graph-level', d: `M0 ${y(level)}H${WIDTH}`, ...thin })),
    svg('path', { class: 'graph-area', d: `${line}V${HEIGHT}H${end}Z` }),
    svg('path', { class: 'graph-line', d: line, ...thin }),
    ...marks);
  return h('div', { class: 'graphed' },
    h('div', { class: 'graph-levels', 'aria-hidden': 'true' }, [...levels].reverse().map((level) => h('span', {}, level))),
    drawing,
    h('div', { class: 'graph-times', 'aria-hidden': 'true' }, h('span', {}, first), h('span', {}, t('admin.graph.now'))));
}

/** The last `room` values, one after the other at the same distance, the oldest first. */
export function trend(values, { room, first, label }) {
  const top = rounded(Math.max(...values));
  const round = (number) => Math.round(number * 10) / 10;
  const start = room - values.length;
  const x = (index) => round(((start + index) / (room - 1)) * WIDTH);
  const line = values.map((value, index) => `${index ? 'L' : 'M'}${x(index)} ${round(HEIGHT - (value / top) * HEIGHT)}`).join('');
  return drawn({ line, end: x(0), top, first, label });
}

/** Stock that steps at each movement: `points` are `{ at, stock, text }`, the oldest first; `now` is what is left of them today. */
export function graph(points, now) {
  const top = rounded(Math.max(now, ...points.map(({ stock }) => stock)));
  const first = Date.parse(points[0].at);
  const span = Math.max(Date.now() - first, 1);
  const x = (at) => Math.round(((Date.parse(at) - first) / span) * WIDTH * 10) / 10;
  const y = (stock) => Math.round((HEIGHT - (stock / top) * HEIGHT) * 10) / 10;
  let line = `M0 ${y(points[0].stock)}`;
  for (const { at, stock } of points.slice(1)) line += `H${x(at)}V${y(stock)}`;
  line += `H${WIDTH}`;
  // Lines of no length have round ends: points that stay round however the drawing is stretched.
  const marks = points.length > POINTS ? [] : points.filter(({ text }) => text).map(({ at, stock, text }) => {
    const title = svg('title', {});
    title.textContent = text;
    return svg('path', { class: 'graph-point', d: `M${x(at)} ${y(stock)}h.01`, ...thin }, title);
  });
  return drawn({ line, end: 0, top, first: time(points[0].at), label: t('admin.graph', points.length, now), marks });
}
