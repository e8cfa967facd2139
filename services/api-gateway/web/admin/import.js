// Products from a file, looked at before they are made, and the catalogue as a file.
import { advice } from '../shop/advice.js';
import { failure, h, labelled, say } from '../shop/elements.js';
import { money } from '../shop/format.js';
import { count, t } from '../shop/texts.js';
import { write } from './csv.js';
import { exported } from './export.js';
import { save } from './files.js';
import { COLUMNS, make, read } from './import-lines.js';
import { table } from './table.js';

/** So many lines of a file are shown before it is imported. */
const SHOWN = 20;
/** Bytes of a file that are read at most. */
const LARGEST = 20_000_000;

export function show(main, { content, signal }) {
  const file = h('input', { type: 'file', name: 'file', accept: '.csv,text/csv,text/plain' });
  const looked = h('div', { class: 'stack', 'aria-live': 'polite' });
  let asked = 0;
  file.addEventListener('change', async () => {
    const [chosen] = file.files;
    const turn = ++asked;
    looked.replaceChildren();
    if (!chosen) return;
    try {
      if (chosen.size > LARGEST) return looked.replaceChildren(wrong(t('admin.import.large')));
      // A file that is no UTF-8 would come in with letters that nobody wrote.
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await chosen.arrayBuffer());
      if (turn === asked) look(looked, read(text), signal);
    } catch (error) {
      looked.replaceChildren(wrong(error instanceof TypeError ? t('admin.import.utf8') : t('admin.import.unread')));
    }
  });
  content.replaceChildren(h('div', { class: 'halves' },
    h('section', { class: 'panel', 'aria-labelledby': 'import-heading' },
      h('h2', { id: 'import-heading' }, t('admin.import.title')),
      h('p', {}, t('admin.import.explained')),
      h('p', { class: 'small' }, t('admin.import.once')),
      labelled(t('admin.import.file'), file, t('admin.import.file.explained', COLUMNS.join(', ')))),
    takeOut(signal)),
  looked);
}

const wrong = (text) => h('p', { class: 'form-wrong', role: 'alert' }, text);

function takeOut(signal) {
  const told = h('p', { class: 'small', role: 'status' });
  const button = h('button', {
    type: 'button', class: 'plain',
    onclick: async () => {
      if (button.getAttribute('aria-busy')) return;
      button.setAttribute('aria-busy', 'true');
      try {
        const number = await exported(signal, (so) => { told.textContent = count('catalogue.found', so); });
        told.replaceChildren();
        say(t('admin.export.done', count('catalogue.found', number)));
      } catch (error) {
        if (!signal.aborted) told.replaceChildren(advice(error) ?? t('error.failed'));
      } finally {
        button.removeAttribute('aria-busy');
      }
    },
  }, t('admin.export'));
  return h('section', { class: 'panel', 'aria-labelledby': 'export-heading' },
    h('h2', { id: 'export-heading' }, t('admin.export.title')), h('p', {}, t('admin.export.explained')),
    h('p', { class: 'actions' }, button), told);
}

/** What is in the file, before anything is made of it. */
function look(content, { problem, lines, ignored }, signal) {
  if (problem) return content.replaceChildren(wrong(problem));
  const good = lines.filter(({ faults }) => faults.length === 0);
  const bad = lines.filter(({ faults }) => faults.length > 0);
  const shown = table(t('admin.import.preview'), [
    { title: t('admin.import.line'), kind: 'number quiet', cell: ({ line }) => String(line) },
    { title: t('admin.field.name'), kind: 'main-cell', cell: ({ product }) => product.name },
    { title: t('admin.field.sku'), kind: 'quiet sku', cell: ({ product }) => product.sku },
    { title: t('admin.field.category'), cell: ({ product }) => product.category },
    { title: t('admin.field.price'), kind: 'number', cell: ({ product }) => money(product.price, product.currency ?? 'USD') },
    { title: t('admin.field.stock'), kind: 'number', cell: ({ product }) => String(product.stock ?? 0) },
  ]);
  shown.add(good.slice(0, SHOWN));
  const report = h('div', { class: 'stack' });
  const button = h('button', { type: 'button', class: 'button', onclick: () => run(report, button, good, bad, signal) }, count('admin.import.start', good.length));
  content.replaceChildren(
    h('section', { class: 'stack', 'aria-labelledby': 'preview-heading' },
      h('h2', { id: 'preview-heading' }, t('admin.import.preview')),
      h('p', {}, t('admin.import.found', good.length, bad.length)),
      ignored.length > 0 && h('p', { class: 'small' }, t('admin.import.ignored', ignored.join(', '))),
      good.length > 0 && h('div', { class: 'sheet' }, shown.element),
      good.length > SHOWN && h('p', { class: 'small' }, t('admin.import.more', good.length - SHOWN)),
      good.length > 0 && h('p', { class: 'actions' }, button)),
    report);
  if (bad.length > 0) report.replaceChildren(badLines(bad));
}

function badLines(bad) {
  const rows = table(t('admin.import.bad'), [
    { title: t('admin.import.line'), kind: 'number', cell: ({ line }) => String(line) },
    { title: t('admin.field.name'), kind: 'main-cell', cell: ({ cells }) => cells.name || undefined },
    { title: t('admin.import.wrong'), kind: 'wide-cell', cell: ({ faults }) => h('ul', {}, faults.map((text) => h('li', {}, text))) },
  ]);
  rows.add(bad);
  return h('section', { class: 'stack', 'aria-labelledby': 'bad-heading' },
    h('h2', { id: 'bad-heading' }, t('admin.import.bad')),
    h('div', { class: 'sheet' }, rows.element),
    h('p', { class: 'actions' }, h('button', {
      type: 'button', class: 'plain',
      onclick: () => save('lines-to-mend.csv', write([[...COLUMNS, 'problem'], ...bad.map(({ cells, faults }) => [...COLUMNS.map((name) => cells[name]), faults.join(' ')])])),
    }, t('admin.import.bad.save'))));
}

async function run(report, button, good, bad, signal) {
  if (button.getAttribute('aria-busy')) return;
  button.setAttribute('aria-busy', 'true');
  const numbers = { made: 0, before: 0, refused: 0, unknown: 0 };
  const failed = [];
  const bar = h('progress', { max: good.length, value: 0, 'aria-label': t('admin.import.title') });
  report.replaceChildren(bar);
  const stop = new AbortController();
  signal.addEventListener('abort', () => stop.abort());
  report.append(h('p', { class: 'actions' }, h('button', { type: 'button', class: 'plain', onclick: () => stop.abort() }, t('admin.import.stop'))));
  let broken;
  try {
    await make(good, stop.signal, (line, { outcome, faults }) => {
      numbers[outcome]++;
      bar.value += 1;
      if (faults) failed.push({ ...line, faults });
    });
  } catch (error) {
    if (signal.aborted) return;
    if (!stop.signal.aborted) broken = error;
    // What the others have on the way ends too.
    stop.abort();
  }
  button.removeAttribute('aria-busy');
  button.textContent = t('admin.import.again');
  const left = good.length - Object.values(numbers).reduce((sum, number) => sum + number, 0);
  const all = [...bad, ...failed].sort((one, other) => one.line - other.line);
  const lines = [
    t('admin.import.made', numbers.made),
    numbers.before > 0 && t('admin.import.before', numbers.before),
    numbers.refused > 0 && t('admin.import.refused', numbers.refused),
    numbers.unknown > 0 && t('admin.import.unknown', numbers.unknown),
    left > 0 && t('admin.import.left', left),
  ].filter(Boolean);
  report.replaceChildren(
    h('section', { class: 'panel outcome-panel', role: 'status', 'aria-labelledby': 'outcome-heading' },
      h('h2', { id: 'outcome-heading' }, t('admin.import.done')), h('ul', {}, lines.map((line) => h('li', {}, line)))),
    ...(broken ? [failure(t('admin.import.broken'), broken)] : []),
    ...(all.length > 0 ? [badLines(all)] : []));
}
