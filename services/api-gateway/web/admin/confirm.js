// Asking before something is done that matters, and before something that was entered is left behind.
import { dialog, h, submits } from '../shop/elements.js';
import { t } from '../shop/texts.js';

/** Asks whether to `act`; what goes wrong is said where it was asked. */
export function sure({ title, text, action, grave = false }, act) {
  const close = () => box.close();
  const form = submits(h('form', { class: 'form' }, h('p', { class: 'actions' },
    h('button', { type: 'submit', class: grave ? 'button button-grave' : 'button' }, action),
    h('button', { type: 'button', class: 'plain', onclick: close }, t('admin.keep')))), async () => {
    await act();
    close();
  });
  const box = dialog(title, text && h('p', {}, text), form);
}

/** The form is asked about before it is left, from the first letter until `done`. */
export function keeps(form) {
  form.addEventListener('input', () => { form.dataset.touched = ''; });
  return () => { delete form.dataset.touched; };
}

const touched = () => document.querySelector('form[data-touched]') !== null;

export function askBeforeLeaving() {
  addEventListener('beforeunload', (event) => {
    if (touched()) event.preventDefault();
  });
  if (!('navigation' in window)) return;
  navigation.addEventListener('navigate', (event) => {
    // Other documents are asked about by `beforeunload`.
    if (!event.canIntercept || !event.cancelable || event.hashChange || event.navigationType === 'reload' || !touched()) return;
    if (!confirm(t('admin.leave'))) event.preventDefault();
  });
}
