// Amounts and times as people read them.
import { language } from './texts.js';

const formats = new Map();

function formatOf(currency) {
  if (!formats.has(currency)) {
    formats.set(currency, new Intl.NumberFormat(language, { style: 'currency', currency }));
  }
  return formats.get(currency);
}

export function money(amount, currency) {
  try {
    return formatOf(currency).format(amount);
  } catch {
    // Not a currency that the browser knows.
    return `${amount} ${currency}`;
  }
}

/** A sum of prices, counted in the currency's smallest unit. */
export function sum(amounts, currency) {
  const unit = 10 ** formatOf(currency).resolvedOptions().maximumFractionDigits;
  return amounts.reduce((total, { price, quantity }) => total + Math.round(price * unit) * quantity, 0) / unit;
}

// As the browser's own variety of the language has it.
const locale = navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
const times = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });

export const time = (text) => times.format(new Date(text));
