// The texts of the page's language: the file that the page names.
const { default: texts } = await import(document.documentElement.dataset.texts);

export const language = document.documentElement.lang;

/** The text with that key, its gaps filled in turn. */
export function t(key, ...values) {
  let index = 0;
  return (texts[key] ?? key).replace(/\{\}/g, () => values[index++] ?? '');
}

/** The text for that many. */
export const count = (key, number) => t(`${key}.${number === 1 ? 'one' : 'other'}`, number);

export const has = (key) => key in texts;
