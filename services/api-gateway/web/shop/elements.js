// Elements made of values: text is text, whatever it says.
import { advice } from './advice.js';
import { t } from './texts.js';

const SVG = 'http://www.w3.org/2000/svg';

/** An element: attributes, listeners (`onclick`), and children, which are elements, texts or nothing. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** An element of a drawing. */
export function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export const icon = (path) => svg('svg', { viewBox: '0 0 20 20', 'aria-hidden': 'true' }, svg('path', { d: path }));

/** The picture of a product, as the gateway draws it. */
export const picture = (id) =>
  h('img', { class: 'thumb', src: `/shop/pictures/${encodeURIComponent(id)}.svg`, alt: '', width: 88, height: 88 });

let silence;
/** Ids of what is labelled. */
let fields = 0;

/** Says something to everybody: shown for a while, and read out. `action` is something to do about it. */
export function say(text, action) {
  const said = document.getElementById('said');
  clearTimeout(silence);
  said.replaceChildren(
    h('p', { class: 'toast' }, text, action && h('button', { type: 'button', class: 'link', onclick: () => { said.replaceChildren(); action.act(); } }, action.label)),
  );
  silence = setTimeout(() => said.replaceChildren(), action ? 10000 : 5000);
}

export const notice = (line, advice, ...actions) =>
  h('div', { class: 'notice' },
    h('p', { class: 'notice-line' }, line),
    advice && h('p', {}, advice),
    actions.length > 0 && h('p', { class: 'actions' }, ...actions));

/** A question over what is there, which says itself what comes of it. */
export function dialog(title, ...children) {
  const id = `dialog-${++fields}`;
  const box = h('dialog', { class: 'dialog', 'aria-labelledby': id }, h('h2', { id }, title), ...children);
  box.addEventListener('close', () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

/** What is said where something could not be loaded or done; `again` tries it once more. */
export function failure(line, error, again) {
  const element = notice(line, advice(error) ?? t('error.failed'), again && h('button', { type: 'button', class: 'button', onclick: again }, t('again')));
  element.setAttribute('role', 'alert');
  return element;
}

export const skeleton = () =>
  h('div', { class: 'skeleton', role: 'status' }, h('span', { class: 'unseen' }, t('loading')), h('i'), h('i'), h('i'));

/** A labelled input, with room for what is wrong with it. */
export const field = (label, attributes, hint) => labelled(label, h('input', attributes), hint);

/** The same for any control. */
export function labelled(label, input, hint) {
  input.id ||= `field-${++fields}`;
  const { id } = input;
  const hintId = hint && `${id}-hint`;
  input.setAttribute('aria-describedby', [hintId, `${id}-wrong`].filter(Boolean).join(' '));
  input.addEventListener('input', () => {
    input.removeAttribute('aria-invalid');
    document.getElementById(`${id}-wrong`)?.replaceChildren();
  });
  return h('div', { class: 'field' },
    h('label', { for: id }, label),
    input,
    hint && h('p', { class: 'hint', id: hintId }, hint),
    h('p', { class: 'wrong', id: `${id}-wrong` }));
}

/** Says what is wrong with a field of a form. */
export function mark(form, name, text) {
  const input = form.elements.namedItem(name);
  if (!input) return false;
  input.setAttribute('aria-invalid', 'true');
  form.querySelector(`#${CSS.escape(input.id)}-wrong`)?.replaceChildren(text);
  return true;
}

/**
 * Runs what a form is for, once at a time: its button waits meanwhile, what went wrong is said in the form, and nothing
 * that was entered is lost.
 */
export function submits(form, act) {
  const wrong = h('p', { class: 'form-wrong', role: 'alert' });
  form.append(wrong);
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    form.setAttribute('aria-busy', 'true');
    wrong.replaceChildren();
    try {
      await act(new FormData(form));
    } catch (error) {
      if (error.name === 'AbortError') return;
      const marked = (error.errors ?? []).filter(({ field: name }) => {
        const key = `error.field.${name.replace(/^.*password$/, 'password')}`;
        return mark(form, name, t(key) === key ? t('error.field') : t(key));
      });
      wrong.replaceChildren(marked.length > 0 ? t('error.fields') : advice(error) ?? t('error.failed'));
      if (marked.length > 0) form.elements.namedItem(marked[0].field).focus();
      if (!advice(error)) console.error(error);
    } finally {
      busy = false;
      form.removeAttribute('aria-busy');
    }
  });
  return form;
}
