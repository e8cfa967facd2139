// What to say to a person about something that did not work.
import { ShopProblem, ShopUnreachable } from '../../client/shop.mjs';
import { has, t } from './texts.js';

/** In the person's language; nothing where it is not the shop that failed, but the page. */
export function advice(error) {
  if (error instanceof ShopUnreachable) return t('error.offline');
  if (!(error instanceof ShopProblem)) return undefined;
  const known = `error.kind.${error.type.split('/').pop()}`;
  if (has(known)) return t(known);
  if (error.status === 429) return t('error.often', error.retryAfter ?? 5);
  if (error.status === 503) return t('error.busy');
  if (error.status === 422) return t('error.fields');
  if (error.status === 409) return t('error.transition');
  return t('error.failed');
}
