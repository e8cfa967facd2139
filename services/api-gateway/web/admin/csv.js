// Comma-separated values (RFC 4180), as spreadsheets write and read them.

const SEPARATORS = [',', ';', '\t'];
/** What a spreadsheet would take for a formula; with a quote before it, it is text. */
const FORMULA = /^[=+\-@\t\r]/;
const QUOTED_FORMULA = /^'(?=[=+\-@\t\r])/;

/** The separator that the first line has most of. */
function separatorOf(text) {
  const line = text.slice(0, text.search(/[\r\n]|$/));
  const times = (separator) => line.split(separator).length;
  return SEPARATORS.reduce((best, other) => (times(other) > times(best) ? other : best));
}

/** Every record as `{ line, cells }`, `line` being where it begins; without those that are empty. */
export function parse(source) {
  const text = source.replace(/^\uFEFF/, '');
  const separator = separatorOf(text);
  const records = [];
  let cells = [];
  let cell = '';
  let quoted = false;
  let line = 1;
  let begins = 1;
  const end = () => {
    cells.push(cell.replace(QUOTED_FORMULA, ''));
    if (cells.some((value) => value.trim() !== '')) records.push({ line: begins, cells });
    cells = [];
    cell = '';
    begins = line;
  };
  for (let index = 0; index < text.length; index++) {
    const letter = text[index];
    if (letter === '\n') line++;
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[index + 1] === '"') cell += text[++index];
      else quoted = false;
    } else if (letter === '"' && cell === '') quoted = true;
    else if (letter === separator) {
      cells.push(cell.replace(QUOTED_FORMULA, ''));
      cell = '';
    } else if (letter === '\n' || letter === '\r') {
      if (letter === '\r' && text[index + 1] === '\n') {
        index++;
        line++;
      }
      end();
    } else cell += letter;
  }
  if (cell !== '' || cells.length > 0) end();
  return { records, open: quoted };
}

function written(value) {
  const text = String(value ?? '');
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Begins with a mark by which spreadsheets know UTF-8. */
export const write = (rows) => `\uFEFF${rows.map((row) => `${row.map(written).join(',')}\r\n`).join('')}`;
