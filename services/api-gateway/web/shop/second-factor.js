// The second factor of an account: setting it up with an authenticator app, and removing it.
import { failure, field, h, say, skeleton, submits } from './elements.js';
import { t } from './texts.js';
import { shop } from './session.js';

/** `changed` is called when other sessions have ended by it. */
export function secondFactor(signal, changed) {
  const content = h('div', { class: 'factor' });
  const show = async () => {
    content.replaceChildren(skeleton());
    try {
      const factor = await shop.getUsersMeMfa({ signal });
      content.replaceChildren(...(factor.enabled ? on(factor, show) : off(content, show, changed)));
    } catch (error) {
      if (signal.aborted || error.name === 'AbortError') return;
      content.replaceChildren(failure(t('factor.failed'), error, show));
    }
  };
  show();
  return content;
}

function off(content, show, changed) {
  const form = submits(h('form', { class: 'form' },
    h('p', { class: 'actions' }, h('button', { type: 'submit', class: 'button' }, t('factor.begin')))), async () => {
    // Here and nowhere else: no page waits for it.
    const [made, { qrCode }] = await Promise.all([shop.postUsersMeMfa(), import('./qr-code.js')]);
    const picture = qrCode(made.otpauth_uri, t('factor.code_as_picture'));
    content.replaceChildren(...setUp(made, picture, content, show, changed));
    content.querySelector('input[name=code]').focus();
  });
  return [h('p', {}, t('factor.off')), form];
}

/** Four letters at a time are easier to type. */
const grouped = (secret) => secret.match(/.{1,4}/g).join(' ');

function setUp({ secret, otpauth_uri: uri }, picture, content, show, changed) {
  const form = submits(h('form', { class: 'form' },
    field(t('factor.code'), { name: 'code', required: true, inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 20 }, t('factor.code.explained')),
    h('p', { class: 'actions' },
      h('button', { type: 'submit', class: 'button' }, t('factor.confirm')),
      h('button', { type: 'button', class: 'plain', onclick: show }, t('login.cancel')))), async (data) => {
    const { recovery_codes: codes } = await shop.postUsersMeMfaConfirm({ body: { code: data.get('code').replace(/\s/g, '') } });
    content.replaceChildren(...recovery(codes, show));
    content.querySelector('h3').focus();
    await changed();
  });
  return [
    h('p', {}, t('factor.secret.explained')),
    picture,
    h('p', {}, h('code', { class: 'secret', tabindex: 0, 'aria-label': t('factor.secret') }, grouped(secret))),
    h('p', { class: 'actions' },
      // An app on this very device takes it by the link.
      uri.startsWith('otpauth:') && h('a', { class: 'plain', href: uri }, t('factor.open')),
      copies(secret)),
    form,
  ];
}

function copies(text) {
  return h('button', {
    type: 'button', class: 'plain',
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        say(t('factor.copied'));
      } catch {
        // Over plain HTTP there is no clipboard: it is on the page to be selected.
        say(t('factor.not_copied'));
      }
    },
  }, t('factor.copy'));
}

function recovery(codes, show) {
  return [
    h('h3', { tabindex: -1 }, t('factor.recovery')),
    h('p', {}, t('factor.recovery.explained')),
    h('ul', { class: 'codes' }, codes.map((code) => h('li', {}, h('code', {}, code)))),
    h('p', { class: 'actions' }, copies(codes.join('\n')),
      h('button', { type: 'button', class: 'button', onclick: show }, t('factor.recovery.kept'))),
  ];
}

function on({ recovery_codes_left: left }, show) {
  const form = submits(h('form', { class: 'form' },
    field(t('factor.code'), { name: 'code', required: true, autocomplete: 'one-time-code', maxlength: 64 }, t('login.code.explained')),
    h('p', { class: 'actions' }, h('button', { type: 'submit', class: 'plain' }, t('factor.remove')))), async (data) => {
    const given = data.get('code').replace(/\s/g, '');
    await shop.deleteUsersMeMfa({ body: { [/^\d{6}$/.test(given) ? 'code' : 'recovery_code']: given } });
    say(t('factor.removed'));
    await show();
  });
  return [
    h('p', {}, h('span', { class: 'badge badge-confirmed' }, t('factor.on')), ' ', t('factor.left', left)),
    form,
  ];
}
